from twisted.application.service import ServiceMaker

hoopx = ServiceMaker("hoopx", "hoopx.tap", "A recording gateway for PostgreSQL and other protocols.", "hoopx")
