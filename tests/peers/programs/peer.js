// node-postgres against one address: each check prints its name when it holds. Connection in libpq's variables.
'use strict';
const assert = require('node:assert/strict');
const { Client, Pool } = require('pg');

async function connected(work, options = {}) {
  const client = new Client({ connectionTimeoutMillis: 120000, ...options });
  await client.connect();
  try {
    return await work(client);
  } finally {
    await client.end();
  }
}

const checks = {
  async types(client) {
    const moment = new Date('2000-02-29T12:00:00.123Z');
    const values = ['Grüße €', 42, 0.5, true, null, Buffer.from([0, 255, 7]), moment, { a: [1, null] }, [1, 2]];
    const casts = ['text', 'int', 'float8', 'bool', 'text', 'bytea', 'timestamptz', 'jsonb', 'int[]'];
    for (const [n, value] of values.entries()) {
      const { rows } = await client.query(`SELECT $1::${casts[n]} AS v`, [value]);
      assert.deepEqual(rows[0].v, value);
    }
  },
  async prepared(client) {
    for (let n = 0; n < 50; n++) {
      const { rows } = await client.query({ name: 'plus', text: 'SELECT $1::int + 1 AS n', values: [n] });
      assert.equal(rows[0].n, n + 1);
    }
  },
  // Small values only: the driver reads binary fields as text.
  async binary() {
    await connected(async (client) => {
      const { rows } = await client.query({ text: 'SELECT $1::int4 AS n, $2::bool AS b', values: [7, true], binary: true });
      assert.deepEqual(rows[0], { n: 7, b: true });
    }, { binary: true });
  },
  async queued(client) {
    const found = await Promise.all(Array.from({ length: 300 }, (_, n) => client.query('SELECT $1::int AS n', [n])));
    found.forEach((result, n) => assert.equal(result.rows[0].n, n));
  },
  async errors(client) {
    for (let n = 0; n < 3; n++) {
      await assert.rejects(client.query('SELECT 1 / $1::int', [0]), { code: '22012' });
      await assert.rejects(client.query('SELECT * FROM missing'), { code: '42P01', position: '15' });
    }
    assert.equal((await client.query('SELECT 1 AS one')).rows[0].one, 1);
  },
  async transaction(client) {
    await client.query('BEGIN');
    await client.query('CREATE TEMP TABLE kept (n int)');
    await assert.rejects(client.query('SELECT 1/0'));
    await assert.rejects(client.query('SELECT 1'), { code: '25P02' });
    await client.query('ROLLBACK');
    await assert.rejects(client.query('SELECT * FROM kept'), { code: '42P01' });
  },
  async notifications(client) {
    const heard = new Promise((resolve) => client.on('notification', resolve));
    await client.query('LISTEN wide');
    await client.query("NOTIFY wide, 'hello'");
    const { channel, payload, processId } = await heard;
    assert.deepEqual({ channel, payload, processId }, { channel: 'wide', payload: 'hello', processId: client.processID });
  },
  async large(client) {
    const text = 'x'.repeat(5 * 1024 * 1024);
    const { rows } = await client.query('SELECT $1::text AS t, length($1::text) AS n', [text]);
    assert.equal(rows[0].n, text.length);
    assert.equal(rows[0].t, text);
  },
  async many(client) {
    const { rows } = await client.query("SELECT n, repeat('z', 100) AS t FROM generate_series(1, 30000) n");
    assert.equal(rows.length, 30000);
    const results = await client.query('SELECT 1 AS a; SELECT 2 AS b');
    assert.deepEqual(results.map((result) => result.rows[0]), [{ a: 1 }, { b: 2 }]);
  },
  async timeout() {
    await connected(async (client) => {
      await assert.rejects(client.query('SELECT pg_sleep(60)'), { code: '57014' });
    }, { statement_timeout: 200 });
  },
  async encrypted() {
    if (process.env.PEER_TLS !== '1') return;
    await connected(async (client) => {
      assert.equal((await client.query("SELECT repeat('s', 1000000) AS s")).rows[0].s.length, 1000000);
    }, { ssl: { rejectUnauthorized: false } });
  },
  async pool() {
    const pool = new Pool({ max: 5 });
    const found = await Promise.all(Array.from({ length: 100 }, (_, n) => pool.query('SELECT $1::int AS n', [n])));
    found.forEach((result, n) => assert.equal(result.rows[0].n, n));
    await pool.end();
  },
};

(async () => {
  for (const [name, check] of Object.entries(checks)) {
    await connected(check);
    console.log('holds ' + name);
  }
})().catch((error) => {
  console.error(error);
  process.exit(1);
});
