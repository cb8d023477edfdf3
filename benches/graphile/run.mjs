// One round of no-op jobs by graphile-worker, driven over standard input and output by `bursar bench work`.
//
//   node run.mjs --url URL --mode batched|single|idle-batched|idle-single --jobs N
//
// It says {"ready":true} and waits for a line; inserts the jobs by `addJobs` in groups of 1,000, says what that took and
// waits for a line; works them off and says what that took. The clock of the last part runs from the start of the first
// job to the end of the last, so that neither connecting nor looking for tasks counts; the processor time is that of
// the whole part, up to the last completion. An `idle` one inserts one job after
// the other and says how long each took from before its insertion to its start.
//
// The settings of `batched` are those of graphile-worker's own benchmark (perfTest/graphile.config.js, 0.17): 24
// concurrent jobs, a local queue of 500 with a refetch delay of 10 ms, completions batched without a delay. `single` is
// the same without the local queue and without batches, which is its default.

import { createInterface } from "node:readline";
import { parseArgs } from "node:util";
import { Logger, makeWorkerUtils, run, runMigrations } from "graphile-worker";
import pg from "pg";

const CONCURRENCY = 24;
const GROUP_MAX = 1_000;
const IDLE_WARM_UP = 20;
const IDLE_GAP_MS = 10;

const { values } = parseArgs({
  options: {
    url: { type: "string" },
    mode: { type: "string" },
    jobs: { type: "string" },
  },
});
const jobs = Number(values.jobs);
const idle = values.mode.startsWith("idle");
const batched = values.mode.endsWith("batched");

const preset = {
  worker: {
    connectionString: values.url,
    concurrentJobs: CONCURRENCY,
    maxPoolSize: CONCURRENCY + 1,
    gracefulShutdownAbortTimeout: 2_500,
    ...(batched && {
      localQueue: { size: 500, refetchDelay: { durationMs: 10 } },
      completeJobBatchDelay: 0,
      failJobBatchDelay: 0,
    }),
    // A log line a job would be measured instead of the job.
    logger: new Logger(() => () => {}),
  },
};

const say = (message) => process.stdout.write(`${JSON.stringify(message)}\n`);
const input = createInterface({ input: process.stdin });
const lines = input[Symbol.asyncIterator]();

const pause = (ms) => new Promise((resolve) => setTimeout(resolve, ms));
const pool = new pg.Pool({ connectionString: values.url, max: 2 });

function since({ used, begun }, ended = process.hrtime.bigint()) {
  const { user, system } = process.cpuUsage(used);
  return { seconds: Number(ended - begun) / 1e9, client_cpu_us: user + system };
}

async function left() {
  const { rows } = await pool.query("select count(*)::int as jobs from graphile_worker._private_jobs");
  return rows[0].jobs;
}

async function workOff() {
  say({ ready: true });
  await lines.next();
  const inserting = { used: process.cpuUsage(), begun: process.hrtime.bigint() };
  const utils = await makeWorkerUtils({ preset });
  for (let id = 0; id < jobs; id += GROUP_MAX) {
    const group = Array.from({ length: Math.min(GROUP_MAX, jobs - id) }, (_, at) => ({
      identifier: "no_op",
      payload: { id: id + at },
    }));
    await utils.addJobs(group);
  }
  say(since(inserting));
  await lines.next();
  await utils.release();
  const working = { used: process.cpuUsage() };
  let done = 0;
  let allDone;
  const end = new Promise((resolve) => (allDone = resolve));
  const noOp = async () => {
    working.begun ??= process.hrtime.bigint();
    done += 1;
    if (done === jobs) allDone(process.hrtime.bigint());
  };
  const runner = await run({ preset, noHandleSignals: true, taskList: { no_op: noOp } });
  const ended = await end;
  // The completions of the last jobs are still on their way, and stopping does not wait for all of them.
  while ((await left()) > 0) await pause(5);
  say(since(working, ended));
  // The database's processor time is read before its sessions end.
  await lines.next();
  await runner.stop();
}

async function oneByOne() {
  let start;
  const noOp = async () => start(process.hrtime.bigint());
  const runner = await run({ preset, noHandleSignals: true, taskList: { no_op: noOp } });
  const client = await pool.connect();
  const latencies = [];
  for (let job = -IDLE_WARM_UP; job < jobs; job += 1) {
    const started = new Promise((resolve) => (start = resolve));
    const asked = process.hrtime.bigint();
    await client.query("select graphile_worker.add_job('no_op', json_build_object('id', $1::int))", [job]);
    const latency = Number((await started) - asked) / 1e6;
    if (job >= 0) latencies.push(latency);
    // Its completion and whatever else follows is over by then; the next finds the worker idle.
    await pause(IDLE_GAP_MS * (0.5 + Math.random()));
  }
  client.release();
  await runner.stop();
  say({ latencies_ms: latencies });
}

try {
  await runMigrations({ preset });
  await (idle ? oneByOne() : workOff());
} finally {
  input.close();
  await pool.end();
}
