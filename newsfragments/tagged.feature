``hoopx sessions list --tag`` lists the sessions that somebody has put a tag on.
