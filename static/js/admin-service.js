// Tables of a service's settings: opening the blank entry at the end puts another blank one after it.
function renumber(row, name, number) {
  const before = `${name}.${row.dataset.row}.`;
  const after = `${name}.${number}.`;
  row.dataset.row = String(number);
  for (const part of row.querySelectorAll("[id], [name], [for], [aria-describedby]")) {
    for (const attribute of ["id", "name", "for", "aria-describedby"]) {
      const value = part.getAttribute(attribute);
      if (value) part.setAttribute(attribute, value.split(before).join(after));
    }
  }
}

for (const table of document.querySelectorAll("[data-rows]")) {
  table.addEventListener(
    "toggle",
    (event) => {
      const row = event.target;
      const rows = [...table.children].filter((part) => part.matches("[data-row]"));
      if (row !== rows.at(-1) || !row.open) return;
      const next = row.cloneNode(true);
      next.open = false;
      renumber(next, table.dataset.rows, Number(row.dataset.row) + 1);
      row.after(next);
    },
    true,
  );
}
