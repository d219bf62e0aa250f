A view that does not come to an end is stopped; its session is put into the index without it, and everything else goes on.
