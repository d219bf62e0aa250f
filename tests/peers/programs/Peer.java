import java.io.ByteArrayOutputStream;
import java.io.StringReader;
import java.math.BigDecimal;
import java.sql.*;
import java.util.Arrays;
import java.util.Properties;
import org.postgresql.PGConnection;
import org.postgresql.PGNotification;
import org.postgresql.copy.CopyManager;
import org.postgresql.largeobject.LargeObject;
import org.postgresql.largeobject.LargeObjectManager;

/** JDBC against one address: each check prints its name when it holds. Arguments: URL, user; the password comes on standard input. */
public final class Peer {
    private final String url;
    private final Properties properties = new Properties();

    private Peer(String url, String user, String password) {
        this.url = url;
        properties.setProperty("user", user);
        properties.setProperty("password", password);
        properties.setProperty("loginTimeout", "120");
        properties.setProperty("socketTimeout", "120");
    }

    private Connection connect(String... more) throws SQLException {
        Properties all = new Properties();
        all.putAll(properties);
        for (int n = 0; n < more.length; n += 2) all.setProperty(more[n], more[n + 1]);
        return DriverManager.getConnection(url, all);
    }

    private static void same(Object found, Object wanted) {
        if (!wanted.equals(found)) throw new AssertionError(found + " is not " + wanted);
    }

    private static void holds(String name) {
        System.out.println("holds " + name);
    }

    /** Text at first, binary and named statements after a few runs (prepareThreshold). */
    private void types() throws SQLException {
        try (Connection connection = connect("prepareThreshold", "3");
             PreparedStatement statement = connection.prepareStatement("SELECT ?::int8, ?::numeric, ?::text, ?::bytea, ?::timestamptz, ?::float8, ?::bool")) {
            byte[] bytes = new byte[5000];
            Arrays.fill(bytes, (byte) 0xfe);
            Timestamp moment = new Timestamp(951825600123L);
            for (int n = 0; n < 10; n++) {
                statement.setLong(1, Long.MAX_VALUE - n);
                statement.setBigDecimal(2, new BigDecimal("12345678901234567890.10"));
                statement.setString(3, "Gr\u00fc\u00dfe \u20ac");
                statement.setBytes(4, bytes);
                statement.setTimestamp(5, moment);
                statement.setDouble(6, 0.1);
                statement.setBoolean(7, true);
                try (ResultSet row = statement.executeQuery()) {
                    row.next();
                    same(row.getLong(1), Long.MAX_VALUE - n);
                    same(row.getBigDecimal(2), new BigDecimal("12345678901234567890.10"));
                    same(row.getString(3), "Gr\u00fc\u00dfe \u20ac");
                    same(Arrays.equals(row.getBytes(4), bytes), true);
                    same(row.getTimestamp(5), moment);
                    same(row.getDouble(6), 0.1);
                    same(row.getBoolean(7), true);
                }
            }
        }
        holds("types");
    }

    private void batch() throws SQLException {
        try (Connection connection = connect("reWriteBatchedInserts", "true"); Statement plain = connection.createStatement()) {
            connection.setAutoCommit(false);
            plain.execute("CREATE TEMP TABLE bulk (n int, t text)");
            try (PreparedStatement statement = connection.prepareStatement("INSERT INTO bulk VALUES (?, ?)")) {
                for (int n = 0; n < 5000; n++) {
                    statement.setInt(1, n);
                    statement.setString(2, "text " + n);
                    statement.addBatch();
                }
                statement.executeBatch();
            }
            connection.commit();
            // A server-side cursor: portals fetched in pieces.
            plain.setFetchSize(70);
            int count = 0;
            try (ResultSet rows = plain.executeQuery("SELECT n FROM bulk ORDER BY n")) {
                while (rows.next()) same(rows.getInt(1), count++);
            }
            same(count, 5000);
            connection.commit();
        }
        holds("batch");
    }

    private void batchError() throws SQLException {
        try (Connection connection = connect(); Statement plain = connection.createStatement()) {
            plain.execute("CREATE TEMP TABLE kept (n int CHECK (n <> 7))");
            connection.setAutoCommit(false);
            try (PreparedStatement statement = connection.prepareStatement("INSERT INTO kept VALUES (?)")) {
                for (int n = 0; n < 20; n++) {
                    statement.setInt(1, n);
                    statement.addBatch();
                }
                statement.executeBatch();
                throw new AssertionError("no error");
            } catch (BatchUpdateException error) {
                same(error.getSQLState(), "23514");
            }
            connection.rollback();
            try (ResultSet row = plain.executeQuery("SELECT count(*) FROM kept")) {
                row.next();
                same(row.getInt(1), 0);
            }
        }
        holds("batchError");
    }

    private void copy() throws Exception {
        try (Connection connection = connect(); Statement plain = connection.createStatement()) {
            plain.execute("CREATE TEMP TABLE bulk (n int, t text)");
            StringBuilder text = new StringBuilder();
            for (int n = 0; n < 20000; n++) text.append(n).append('\t').append("text ").append(n).append('\n');
            CopyManager copies = connection.unwrap(PGConnection.class).getCopyAPI();
            same(copies.copyIn("COPY bulk FROM STDIN", new StringReader(text.toString())), 20000L);
            ByteArrayOutputStream out = new ByteArrayOutputStream();
            copies.copyOut("COPY bulk TO STDOUT", out);
            same(out.toString("UTF-8"), text.toString());
            try {
                copies.copyIn("COPY bulk FROM STDIN", new StringReader("no number\n"));
                throw new AssertionError("no error");
            } catch (SQLException error) {
                same(error.getSQLState(), "22P02");
            }
            plain.execute("SELECT 1");
        }
        holds("copy");
    }

    private void cancel() throws SQLException {
        try (Connection connection = connect(); Statement plain = connection.createStatement()) {
            // The driver asks for the end so many seconds later: by then the server has to have begun.
            plain.setQueryTimeout(3);
            try {
                plain.execute("SELECT pg_sleep(1000)");
                throw new AssertionError("no error");
            } catch (SQLException error) {
                same(error.getSQLState(), "57014");
            }
            plain.setQueryTimeout(0);
            plain.execute("SELECT 1");
        }
        holds("cancel");
    }

    private void notifications() throws SQLException {
        try (Connection connection = connect(); Statement plain = connection.createStatement()) {
            plain.execute("LISTEN wide");
            plain.execute("NOTIFY wide, 'hello'");
            PGNotification[] found = connection.unwrap(PGConnection.class).getNotifications(120000);
            same(found.length, 1);
            same(found[0].getParameter(), "hello");
            same(found[0].getPID(), connection.unwrap(PGConnection.class).getBackendPID());
        }
        holds("notifications");
    }

    /** The large object interface speaks by FunctionCall messages. */
    private void largeObject() throws SQLException {
        try (Connection connection = connect()) {
            connection.setAutoCommit(false);
            LargeObjectManager manager = connection.unwrap(PGConnection.class).getLargeObjectAPI();
            byte[] content = new byte[1 << 20];
            for (int n = 0; n < content.length; n++) content[n] = (byte) n;
            long number = manager.createLO(LargeObjectManager.READWRITE);
            LargeObject object = manager.open(number, LargeObjectManager.WRITE);
            object.write(content);
            object.close();
            object = manager.open(number, LargeObjectManager.READ);
            same(Arrays.equals(object.read(content.length), content), true);
            object.close();
            manager.delete(number);
            connection.commit();
        }
        holds("largeObject");
    }

    private void metadata() throws SQLException {
        try (Connection connection = connect(); Statement plain = connection.createStatement()) {
            plain.execute("CREATE TEMP TABLE described (id int PRIMARY KEY, name text)");
            try (ResultSet columns = connection.getMetaData().getColumns(null, null, "described", null)) {
                columns.next();
                same(columns.getString("COLUMN_NAME"), "id");
            }
        }
        holds("metadata");
    }

    private void savepoints() throws SQLException {
        try (Connection connection = connect("autosave", "always"); Statement plain = connection.createStatement()) {
            connection.setAutoCommit(false);
            plain.execute("CREATE TEMP TABLE kept (n int)");
            try {
                plain.execute("SELECT 1/0");
                throw new AssertionError("no error");
            } catch (SQLException error) {
                same(error.getSQLState(), "22012");
            }
            plain.execute("INSERT INTO kept VALUES (1)");
            connection.commit();
        }
        holds("savepoints");
    }

    private void modes() throws SQLException {
        for (String mode : new String[] {"simple", "extended", "extendedForPrepared", "extendedCacheEverything"}) {
            try (Connection connection = connect("preferQueryMode", mode); PreparedStatement statement = connection.prepareStatement("SELECT ?::int + 1")) {
                for (int n = 0; n < 8; n++) {
                    statement.setInt(1, n);
                    try (ResultSet row = statement.executeQuery()) {
                        row.next();
                        same(row.getInt(1), n + 1);
                    }
                }
            }
        }
        holds("modes");
    }

    public static void main(String[] arguments) throws Exception {
        String password = new String(System.in.readAllBytes(), "UTF-8");
        Peer peer = new Peer(arguments[0], arguments[1], password);
        peer.types();
        peer.batch();
        peer.batchError();
        peer.copy();
        peer.cancel();
        peer.notifications();
        peer.largeObject();
        peer.metadata();
        peer.savepoints();
        peer.modes();
    }
}
