#!/usr/bin/env node
/**
 * dist/cli.cjs and dist/agent.js, each with everything it needs but the FFI packages.
 *
 * The CLI is CommonJS because Node starts that faster than an ES module (10 ms on Node 20, 20 ms on
 * Node 24); the agent is an ES module because it awaits at its top.
 */
import { statSync } from 'node:fs';
import { dirname, join, resolve } from 'node:path';
import { fileURLToPath } from 'node:url';
import { build } from 'esbuild';

const ROOT = resolve(dirname(fileURLToPath(import.meta.url)), '..');

/**
 * What yargs imports and the CLI would pay for at every start, help or not: string-width, whose emoji
 * expressions take V8 30 ms to compile, node:assert (10 ms on Node 24) and node:module (5 ms).
 */
const lightYargs = {
  name: 'light-yargs',
  setup({ onResolve, onLoad }) {
    const contents = {
      'string-width': "export { widthOf as default } from './src/cli/render/width.ts';",
      assert: `
        const check = (ok, message) => { if (!ok) throw message instanceof Error ? message : new Error(message); };
        export const strictEqual = (a, b, message) => check(Object.is(a, b), message);
        export const notStrictEqual = (a, b, message) => check(!Object.is(a, b), message);`,
      'node:module': 'export const createRequire = () => require;',
    };
    onResolve({ filter: /^(?:string-width|assert|node:module)$/ }, ({ path }) => ({
      path,
      namespace: 'light',
    }));
    onLoad({ filter: /.*/, namespace: 'light' }, ({ path }) => ({
      contents: contents[path],
      resolveDir: ROOT,
      loader: 'ts',
    }));
  },
};

const common = {
  absWorkingDir: ROOT,
  bundle: true,
  platform: 'node',
  target: 'node20',
  minify: true,
  legalComments: 'external',
  logLevel: 'warning',
};

const bundles = [
  {
    ...common,
    entryPoints: ['src/cli/main.ts'],
    outfile: 'dist/cli.cjs',
    format: 'cjs',
    plugins: [lightYargs],
    // Only -o yaml and `rules` need them: 100 kB that every start would have to parse.
    external: ['js-yaml', 'smol-toml'],
    define: { 'import.meta.url': '__importMetaUrl' },
    banner: { js: "const __importMetaUrl=require('node:url').pathToFileURL(__filename).href;" },
  },
  {
    ...common,
    entryPoints: ['src/agent/main.ts'],
    outfile: 'dist/agent.js',
    format: 'esm',
    external: ['ffi-napi', 'ref-napi'],
    // CommonJS packages inside an ES module bundle still call require().
    banner: {
      js: "import{createRequire as __createRequire}from'node:module';const require=__createRequire(import.meta.url);",
    },
  },
];

const results = await Promise.allSettled(bundles.map((options) => build(options)));
// esbuild has printed what is wrong and where.
if (results.some(({ status }) => status === 'rejected')) process.exit(1);
for (const { outfile } of bundles) {
  const path = join(ROOT, outfile);
  console.log(`${outfile} ${Math.round(statSync(path).size / 1024)} kB`);
}
