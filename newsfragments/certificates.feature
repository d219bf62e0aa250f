Accounts of PostgreSQL targets can log in with a certificate, and with passwords that are hashed millions of times.
