/**
 * `{"operation":"backup","folder":"/backups/monday"}`: has the node write a backup of its store
 * while it goes on. The folder is one of the node's own machine, new or empty, named in full: what
 * a relative name means would depend on where somebody started the node.
 */
import { isAbsolute } from 'node:path';
import { type Operation, usage } from './operation.ts';

export const backup: Operation = {
  name: 'backup',
  takes: ['folder'],
  run({ folder }, context) {
    if (typeof folder !== 'string' || !isAbsolute(folder)) {
      throw usage(
        'folder: the full path of a new or empty folder on the machine of the node, such as ' +
          '/backups/2026-11-29',
      );
    }
    return context.backup(folder);
  },
};
