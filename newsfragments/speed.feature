Bulk transfers cost the gateway about a quarter less CPU time; the bulk benchmark compares with pgbouncer too.
