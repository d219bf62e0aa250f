``hoopx sessions tag`` and ``hoopx sessions review`` keep what auditors have found, with a sign-off by a second person; every look at a recording is in the audit.
