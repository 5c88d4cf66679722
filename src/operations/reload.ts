/**
 * `{"operation":"reload"}`: the node reads its files again (policies, origins, roles, certificates)
 * and goes by them without a restart, on every thread; `dry_run: true` answers what would change.
 * Files that are wrong are an answer with `outcome: "refused"` and the problems, each with its
 * place, cause and cure: the node goes on with the last good ones.
 */
import { type Operation, usage } from './operation.ts';

export const reload: Operation = {
  name: 'reload',
  takes: ['dry_run'],
  run({ dry_run: dryRun = false }, context) {
    if (typeof dryRun !== 'boolean') throw usage('dry_run: true or false');
    return context.reload(dryRun);
  },
};
