Holds by filter put stored objects under a legal hold, all segments of a session are locked until its end and the time it is kept, and a session of which it is not known what it was is never erased.
