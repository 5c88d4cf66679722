/** A command that asks a running node on its admin port: where that is, and who asks. */
import type { Command } from 'commander';

export const adminCommand = (program: Command, name: string, description: string): Command =>
  program
    .command(name)
    .description(description)
    .option('--url <url>', "address of the node's admin port", 'http://127.0.0.1:9925')
    .option('--username <name>', 'who asks (MILLRACE_ADMIN_USERNAME)')
    .option('--password <password>', 'and how it is proved (MILLRACE_ADMIN_PASSWORD)')
    .option('--json', 'print the answer as JSON');
