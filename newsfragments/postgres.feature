PostgreSQL sessions of stock clients and drivers go through the gateway and are recorded before they are forwarded; the recordings are listed, shown, replayed, followed and exported.
