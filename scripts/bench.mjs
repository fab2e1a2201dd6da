#!/usr/bin/env node
/**
 * Bundles bench/*.ts into build/bench/ and runs them one after the other: `bench.mjs [NAME…]` runs only those.
 * stdout carries one JSON object a line, `{ name, asked, measured, unit, ok, … }`; all else goes to stderr.
 * The lines are also kept in build/bench/results.jsonl. Exit code 1 when a bar was missed or a benchmark broke.
 */
import { spawn } from 'node:child_process';
import { mkdirSync, readdirSync, writeFileSync } from 'node:fs';
import { basename, dirname, join, resolve } from 'node:path';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';
import { build } from 'esbuild';

const ROOT = resolve(dirname(fileURLToPath(import.meta.url)), '..');
const SOURCES = join(ROOT, 'bench');
const OUT = join(ROOT, 'build', 'bench');
const TIME_LIMIT_MS = 15 * 60_000;

const known = readdirSync(SOURCES)
  .filter((file) => file.endsWith('.ts'))
  .map((file) => basename(file, '.ts'))
  .sort();
const asked = process.argv.slice(2);
const wrong = asked.find((name) => !known.includes(name));
if (wrong !== undefined) {
  console.error(`bench: no benchmark ${JSON.stringify(wrong)}; there are ${known.join(', ')}`);
  process.exit(2);
}
const chosen = asked.length === 0 ? known : asked;

await build({
  entryPoints: chosen.map((name) => join(SOURCES, `${name}.ts`)),
  outdir: OUT,
  outExtension: { '.js': '.mjs' },
  bundle: true,
  platform: 'node',
  format: 'esm',
  target: 'node20',
  external: ['ffi-napi', 'ref-napi', 'esbuild'],
  // CommonJS packages inside an ES module bundle still call require().
  banner: {
    js: "import { createRequire } from 'node:module'; const require = createRequire(import.meta.url);",
  },
  sourcemap: 'inline',
  logLevel: 'warning',
});

let current;
let interrupted = false;
for (const signal of ['SIGINT', 'SIGTERM']) {
  process.on(signal, () => {
    interrupted = true;
    current?.kill(signal);
  });
}

/** @returns {Promise<Record<string, unknown>[]>} its lines; a last one with ok: false when it broke */
function run(name) {
  return new Promise((done) => {
    const results = [];
    const child = spawn(process.execPath, ['--expose-gc', join(OUT, `${name}.mjs`)], {
      cwd: ROOT,
      stdio: ['ignore', 'pipe', 'inherit'],
    });
    current = child;
    const limit = setTimeout(() => child.kill('SIGTERM'), TIME_LIMIT_MS);
    createInterface({ input: child.stdout }).on('line', (line) => {
      if (!line.startsWith('{')) return void console.error(line);
      console.log(line);
      results.push(JSON.parse(line));
    });
    child.once('close', (code, signal) => {
      clearTimeout(limit);
      if (code !== 0) {
        const broke = { name, ok: false, error: `benchmark ended with ${signal ?? `code ${code}`}` };
        console.log(JSON.stringify(broke));
        results.push(broke);
      }
      done(results);
    });
  });
}

mkdirSync(OUT, { recursive: true });
const results = [];
for (const name of chosen) {
  if (interrupted) break;
  console.error(`bench: ${name}`);
  results.push(...(await run(name)));
  writeFileSync(join(OUT, 'results.jsonl'), results.map((line) => `${JSON.stringify(line)}\n`).join(''));
}
const missed = results.filter((line) => line.ok === false);
console.error(`bench: ${results.length - missed.length} of ${results.length} as asked`);
for (const line of missed) console.error(`bench: missed: ${line.name}`);
process.exitCode = interrupted || missed.length > 0 ? 1 : 0;
