#!/usr/bin/env node
/** Entry of the `millrace` command: gives the command line its terminal and ends with its code. */
import { fileURLToPath } from 'node:url';
import { runCommandLine } from './cli/run.ts';

const code = await runCommandLine(
  { args: process.argv.slice(2), entry: fileURLToPath(import.meta.url) },
  {
    env: process.env,
    cwd: process.cwd(),
    out: (line) => void process.stdout.write(`${line}\n`),
    err: (line) => void process.stderr.write(`${line}\n`),
    progress: process.stderr.isTTY
      ? (text) => void process.stderr.write(`\r${text}\u001b[K`)
      : undefined,
    isWatched: process.stdout.isTTY,
    get input() {
      return process.stdin;
    },
    output: process.stdout,
  },
);
process.exit(code);
