Listeners take PROXY headers (version 1 and 2) from the networks of load balancers, and record the client's own address.
