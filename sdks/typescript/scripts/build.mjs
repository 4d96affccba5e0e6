// Builds dist/: ES modules, checked and with types, by tsc; the same source as CommonJS, turned file by file.

import { copyFileSync, mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { execFileSync } from 'node:child_process';
import { createRequire } from 'node:module';
import { fileURLToPath } from 'node:url';

const require = createRequire(import.meta.url);
const root = fileURLToPath(new URL('..', import.meta.url));
const [esm, cjs] = [`${root}/dist/esm`, `${root}/dist/cjs`];

rmSync(`${root}/dist`, { recursive: true, force: true });
execFileSync(process.execPath, [require.resolve('typescript/bin/tsc'), '--outDir', 'dist/esm'], { cwd: root, stdio: 'inherit' });

const ts = require('typescript');
const compilerOptions = { target: ts.ScriptTarget.ES2022, module: ts.ModuleKind.CommonJS };
mkdirSync(cjs);
for (const name of readdirSync(`${root}/src`)) {
  const { outputText } = ts.transpileModule(readFileSync(`${root}/src/${name}`, 'utf8'), { compilerOptions });
  writeFileSync(`${cjs}/${name.replace(/\.ts$/, '.js')}`, outputText);
}
for (const name of readdirSync(esm).filter((one) => one.endsWith('.d.ts'))) copyFileSync(`${esm}/${name}`, `${cjs}/${name}`);

for (const [folder, type] of [
  [esm, 'module'],
  [cjs, 'commonjs'],
]) {
  writeFileSync(`${folder}/package.json`, `${JSON.stringify({ type })}\n`);
}
