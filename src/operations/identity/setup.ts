/** `setup`: makes the first administrator, with the token that the start has shown. */
import { asNodeError } from '../../base/errors.ts';
import { type Operation, usage } from '../operation.ts';
import { nameArgument, passwordArgument, textArgument } from './arguments.ts';
import { changed } from './changes.ts';

export const setup: Operation = {
  name: 'setup',
  takes: ['token', 'username', 'password'],
  needs: 'nothing',
  async run(args, context) {
    const { setup: first } = context.identity;
    if (first === undefined) throw usage('this node has an administrator already: sign in');
    const token = textArgument(args, 'token');
    const username = nameArgument(args, 'username');
    const password = passwordArgument(args.password);
    try {
      await first.complete({ token, username, password, address: context.address });
    } catch (error) {
      const { code } = asNodeError(error);
      const facts = { by: undefined, address: context.address, method: 'setup', reason: code };
      context.identity.audit({ kind: 'signInRefused', ...facts });
      throw error;
    }
    changed(context, 'added', `user ${username}, the first administrator`);
    return { message: `${username} is the administrator of this node` };
  },
};
