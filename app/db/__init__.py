"""The database: the pool, the named queries, the migrations, and typed functions over them, one module a noun."""
