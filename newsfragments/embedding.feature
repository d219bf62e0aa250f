The gateway runs as ``twistd hoopx``, and inside any Twisted application with ``makeProxyService``; SIGHUP and ``hoopx reload`` put new targets and grants in force.
