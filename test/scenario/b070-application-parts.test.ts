/** What an application may consist of besides modules: CommonJS, `.env`. On a real node. */
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import {
  type AppFiles,
  type NodeProcess,
  runCommand,
  startNode,
  writeApp,
} from '../support/node-process.ts';
import { ENGINES, json } from '../support/scenario-apps.ts';

const SCHEMA = 'type Note @table @export(public: [read, insert]) { id: ID @primaryKey }';

describe('an application in CommonJS', () => {
  const files: AppFiles = {
    'schema.graphql': SCHEMA,
    'config.yaml':
      "rest: true\ngraphqlSchema: { files: '*.graphql' }\njsResource: { files: '*.{js,cjs}' }\n",
    'resources.js': `
      const { Resource, tables } = require('harperdb');
      const path = require('path');
      const EventEmitter = require('events');
      const greeting = require('greeting');
      const { double } = require('./lib/double.cjs');
      class Parts extends Resource {
        static public = ['read'];
        static async get(target) {
          return {
            base: path.basename(__filename),
            folder: path.basename(__dirname),
            isFunction: typeof EventEmitter,
            greeting,
            double: double(21),
            note: await tables.Note.get('none') ?? null,
          };
        }
      }
      module.exports = { Parts, notServed: 1 };`,
    'more.cjs': `exports.More = class extends Resource {
      static public = ['read'];
      static get() { return { more: true }; }
    };`,
    'lib/double.cjs': 'module.exports.double = (n) => n * 2;',
    'node_modules/greeting/package.json': '{"main":"./main.js"}',
    'node_modules/greeting/main.js': 'module.exports = "hello";',
  };
  let node: NodeProcess;
  beforeAll(async () => {
    node = await startNode({ files, flags: ['--threads', '2'] });
  });
  afterAll(() => node?.dispose());

  it('requires this node, the ones of Node, packages and its own files', async () => {
    expect(await json(await node.fetch('/Parts'))).toEqual({
      base: 'resources.js',
      folder: node.folder.split('/').at(-1),
      isFunction: 'function',
      greeting: 'hello',
      double: 42,
      note: null,
    });
    expect(await json(await node.fetch('/More'))).toEqual({ more: true });
  });

  it('serves nothing at / for what module.exports is', async () => {
    expect((await node.fetch('/')).status).toBe(404);
    expect((await node.fetch('/notServed')).status).toBe(404);
  });
});

describe('.env of an application', () => {
  const files: AppFiles = {
    'schema.graphql': SCHEMA,
    'resources.js': `export class Env extends Resource {
      static public = ['read'];
      static get(target) { return { value: process.env[target.id] ?? null }; }
    }`,
    'millrace.yaml': `cluster: { name: "$\{env.NODE_WORD}" }\n`,
    '.env': [
      '# a comment',
      'NODE_WORD=from-file',
      "export QUOTED='single # kept'",
      'DOUBLE="two\\nlines" # said after',
      'PLAIN=plain value # said after',
      'TAKEN=file',
      'LONG="first',
      'second"',
      'EMPTY=',
    ].join('\n'),
  };
  const value = async (node: NodeProcess, name: string) =>
    ((await json(await node.fetch(`/Env/${name}`))) as { value: unknown }).value;

  it.each(ENGINES)(
    'fills in variables and is seen by code on every thread (%s)',
    async (engine) => {
      const env = { TAKEN: 'process', MILLRACE_HTTP_ENGINE: engine };
      const node = await startNode({ files, env, flags: ['--threads', '2'] });
      try {
        expect(await value(node, 'NODE_WORD')).toBe('from-file');
        expect(await value(node, 'QUOTED')).toBe('single # kept');
        expect(await value(node, 'DOUBLE')).toBe('two\nlines');
        expect(await value(node, 'PLAIN')).toBe('plain value');
        expect(await value(node, 'LONG')).toBe('first\nsecond');
        expect(await value(node, 'EMPTY')).toBe('');
        expect(await value(node, 'TAKEN')).toBe('process');
      } finally {
        await node.dispose();
      }
    },
  );

  it('stands above the process where loadEnv of a config.yaml says so', async () => {
    const node = await startNode({
      files: {
        ...files,
        'config.yaml':
          'rest: true\nloadEnv: { files: [.env, more.env], override: true }\n' +
          'jsResource: { files: resources.js }\n',
        'more.env': 'TAKEN=more\n',
      },
      env: { TAKEN: 'process' },
    });
    try {
      expect(await value(node, 'TAKEN')).toBe('more');
    } finally {
      await node.dispose();
    }
  });

  it('is told where a line is no assignment', async () => {
    const folder = writeApp({ ...files, '.env': 'GOOD=1\nnot an assignment\nOPEN="never\n' });
    const { code, stderr } = await runCommand(['check', folder], { env: { NO_COLOR: '1' } });
    expect(code).toBe(2);
    expect(stderr).toContain('.env:2');
    expect(stderr).toContain('.env:3');
    expect(stderr).toContain('NODE_WORD is not set');
  });
});
