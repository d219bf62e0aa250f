Who becomes root or the gateway's user with ``sudo`` is still one person in audit and reviews: the kernel's login uid says who.
