/**
 * The commands `user`, `role`, `token`, `key`, `sign-url` and `op`: each is one operation of the
 * admin port. Passwords come from a file or from standard input, never from the command line, where
 * other users of the machine could read them.
 */
import type { Command } from 'commander';
import type { Terminal } from './terminal.ts';

/** What commander hands to an action: arguments, then flags. */
type Flags = Readonly<Record<string, unknown>> & { readonly url: string };

interface Surroundings {
  readonly terminal: Terminal;
  readonly finish: (code: number) => void;
}

export function addIdentityCommands(
  program: Command,
  terminal: Terminal,
  finish: (code: number) => void,
): void {
  const around = { terminal, finish };
  addUserCommands(program.command('user').description('who may sign in'), around);
  addRoleCommands(program.command('role').description('what users may do'), around);
  addTokenCommands(program.command('token').description('tokens of users'), around);
  addKeyCommands(program.command('key').description('API keys'), around);
  adminFlags(program.command('sign-url <url>'))
    .description('a URL of a page that may be read without signing in, until it ends')
    .option('--expires-in <span>', 'such as 10m or 7d', '1h')
    .option('--key <name>', 'which of auth.urlKeys signs; the first otherwise')
    .action((url: string, flags: Flags) =>
      run(
        around,
        flags,
        async () => ({
          ...{ operation: 'sign_url', url, expires_in: flags.expiresIn },
          ...(flags.key === undefined ? {} : { key: flags.key }),
        }),
        (answer) => [String((answer as { readonly url: string }).url)],
      ),
    );
  adminFlags(program.command('op'))
    .description('run any operation: op describe_all, op purge table=Item keys=["a"]')
    .argument('<operation>')
    .argument('[arguments...]', 'name=value, JSON where it reads as JSON')
    .action(async (operation: string, pairs: readonly string[], flags: Flags) => {
      await run(around, flags, async ({ argumentsOf }) => ({ operation, ...argumentsOf(pairs) }));
    });
}

function addUserCommands(user: Command, around: Surroundings): void {
  passwordFlag(adminFlags(user.command('add <name>')))
    .description('make a user')
    .option('--role <role...>', 'roles it has')
    .action((username: string, flags: Flags) =>
      run(around, flags, async ({ secretFrom }) => ({
        operation: 'add_user',
        username,
        roles: flags.role,
        password: passwordOf(flags, secretFrom),
      })),
    );
  passwordFlag(adminFlags(user.command('alter <name>')))
    .description('change a user: password, roles, whether it may sign in')
    .option('--role <role...>', 'roles it has from now on')
    .option('--active', 'let it sign in')
    .option('--inactive', 'do not let it sign in; what it has open ends')
    .action((username: string, flags: Flags) =>
      run(around, flags, async ({ secretFrom }) => ({
        operation: 'alter_user',
        username,
        roles: flags.role,
        password: passwordOf(flags, secretFrom),
        active: flags.active === true ? true : flags.inactive === true ? false : undefined,
      })),
    );
  adminFlags(user.command('drop <name>'))
    .description('remove a user with its keys; what it has open ends')
    .action((username: string, flags: Flags) =>
      run(around, flags, async () => ({ operation: 'drop_user', username })),
    );
  adminFlags(user.command('list'))
    .description('all users')
    .action((flags: Flags) => run(around, flags, async () => ({ operation: 'list_users' }), table));
}

function addRoleCommands(role: Command, around: Surroundings): void {
  for (const [verb, description] of [
    ['add', 'make a role'],
    ['alter', 'change what a role grants'],
  ] as const) {
    adminFlags(role.command(`${verb} <name>`))
      .description(description)
      .option('--admin', 'may do everything')
      .option('--tables <json>', 'what it grants by table: {"Story":{"read":true}}', '{}')
      .action((name: string, flags: Flags) =>
        run(around, flags, async ({ jsonOf }) => ({
          operation: `${verb}_role`,
          role: name,
          admin: flags.admin,
          tables: jsonOf('--tables', String(flags.tables)),
        })),
      );
  }
  adminFlags(role.command('drop <name>'))
    .description('remove a role that nobody has')
    .action((name: string, flags: Flags) =>
      run(around, flags, async () => ({ operation: 'drop_role', role: name })),
    );
  adminFlags(role.command('list'))
    .description('all roles')
    .action((flags: Flags) => run(around, flags, async () => ({ operation: 'list_roles' }), table));
}

function addTokenCommands(token: Command, around: Surroundings): void {
  adminFlags(token.command('create'))
    .description('tokens of whoever --username and --password name')
    .action((flags: Flags) =>
      run(around, flags, async () => {
        const { env } = around.terminal;
        return {
          operation: 'create_authentication_tokens',
          username: flags.username ?? env.MILLRACE_ADMIN_USERNAME,
          password: flags.password ?? env.MILLRACE_ADMIN_PASSWORD,
        };
      }),
    );
  adminFlags(token.command('revoke <user>'))
    .description('make every token and session of a user worthless')
    .action((username: string, flags: Flags) =>
      run(around, flags, async () => ({ operation: 'revoke_user_tokens', username })),
    );
}

function addKeyCommands(key: Command, around: Surroundings): void {
  adminFlags(key.command('create <name>'))
    .description('make an API key; it is shown once')
    .option('--for <user>', 'the user it acts for; whoever asks otherwise')
    .option('--scope <scope...>', 'what it may be used for: read:Story, *:Story; all otherwise')
    .option('--expires-in <span>', 'such as 90d; never otherwise')
    .action((name: string, flags: Flags) =>
      run(around, flags, async () => ({
        operation: 'create_api_key',
        name,
        username: flags.for,
        scopes: flags.scope,
        expires_in: flags.expiresIn,
      })),
    );
  adminFlags(key.command('revoke <id>'))
    .description('make an API key worthless')
    .action((id: string, flags: Flags) =>
      run(around, flags, async () => ({ operation: 'revoke_api_key', id })),
    );
  adminFlags(key.command('list'))
    .description('all API keys')
    .action((flags: Flags) =>
      run(around, flags, async () => ({ operation: 'list_api_keys' }), table),
    );
}

const adminFlags = (command: Command): Command =>
  command
    .option('--url <url>', 'admin port of the node', 'http://127.0.0.1:9925')
    .option('--username <name>', 'who asks (MILLRACE_ADMIN_USERNAME)')
    .option('--password <password>', 'and how it is proved (MILLRACE_ADMIN_PASSWORD)')
    .option('--json', 'print the answer as JSON');

const passwordFlag = (command: Command): Command =>
  command.option('--password-file <file>', 'its password: first line of a file, or of - ');

const passwordOf = (flags: Flags, secretFrom: (file: string) => string): string | undefined =>
  typeof flags.passwordFile === 'string' ? secretFrom(flags.passwordFile) : undefined;

type Means = Pick<typeof import('./operate.ts'), 'argumentsOf' | 'secretFrom'> & {
  readonly jsonOf: (flag: string, text: string) => unknown;
};

/** Runs the operation that `make` describes. */
async function run(
  { terminal, finish }: Surroundings,
  flags: Flags,
  make: (means: Means) => Promise<Record<string, unknown>>,
  print?: (answer: unknown) => readonly string[],
): Promise<void> {
  const { argumentsOf, operate, secretFrom } = await import('./operate.ts');
  try {
    const document = await make({ argumentsOf, secretFrom, jsonOf });
    finish(await operate(document, flags, terminal, print));
  } catch (error) {
    terminal.err(`millrace: ${error instanceof Error ? error.message : String(error)}`);
    finish(2);
  }
}

function jsonOf(flag: string, text: string): unknown {
  try {
    return JSON.parse(text);
  } catch (error) {
    throw new Error(`${flag} is not JSON: ${String(error)}`);
  }
}

/** Rows for people: their plain values, one row a line. */
function table(answer: unknown): readonly string[] {
  const rows = Array.isArray(answer) ? (answer as readonly Record<string, unknown>[]) : [];
  if (rows.length === 0) return ['none'];
  return rows.map((row) =>
    Object.entries(row)
      .filter(
        ([name, value]) => !name.startsWith('__') && (typeof value !== 'object' || isList(value)),
      )
      .map(([name, value]) => `${name}=${isList(value) ? value.join(',') : String(value)}`)
      .join('  '),
  );
}

const isList = (value: unknown): value is readonly unknown[] =>
  Array.isArray(value) && value.every((one) => typeof one !== 'object');
