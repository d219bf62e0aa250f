State and index can be kept in a PostgreSQL (``[state] url``, ``[index] url``), which several gateways may share.
