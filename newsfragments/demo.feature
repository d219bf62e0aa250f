``hoopx demo`` shows everything on one machine with a real PostgreSQL.
