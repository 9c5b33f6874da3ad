-- The overview of administrators looks at few rows of long tables.

-- overview.measure_outbox, overview.list_troubled_mail
create index outbox_undelivered on outbox (id) where delivered_at is null;
-- overview.list_admin_acts
create index audit_of_administration on audit_logs (id)
    where split_part(action, '.', 1) in ('service', 'services', 'panel', 'panels')
        or action in ('user.created', 'user.standing_changed', 'user.reset_link_sent');
