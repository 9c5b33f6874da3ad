"""What people and the engine can do: each use case is a function over `Deps`; both doors (routes, tasks) call them."""
