/**
 * The peers that Debian packages bring: nginx with `proxy_cache` and Varnish, each on one core with
 * its cache in memory, in front of the same origin as we are. Absent ones are left out.
 */
import { accessSync, constants, mkdtempSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:net';
import { delimiter, join } from 'node:path';
import { answers, type Server, startServer } from '../harness/server.ts';

/** A port that was free a moment ago; these peers cannot choose one themselves. */
export function freePort(): Promise<number> {
  return new Promise((resolve) => {
    const probe = createServer().listen(0, '127.0.0.1', () => {
      const address = probe.address();
      const port = typeof address === 'object' && address !== null ? address.port : 0;
      probe.close(() => resolve(port));
    });
  });
}

/** The full name of a program, looked for where administrators' programs lie too. */
export function programPath(name: string): string | undefined {
  const folders = [...(process.env.PATH ?? '').split(delimiter), '/usr/sbin', '/usr/local/sbin'];
  return folders
    .map((folder) => join(folder, name))
    .find((path) => {
      try {
        accessSync(path, constants.X_OK);
        return true;
      } catch {
        return false;
      }
    });
}

const nginxConfig = (folder: string, port: number, origin: string) => `
daemon off; worker_processes 1; pid ${folder}/pid; error_log ${folder}/error.log;
${process.getuid?.() === 0 ? 'user root;' : ''}
events { worker_connections 8192; }
http {
  access_log off; sendfile on; tcp_nodelay on;
  keepalive_requests 1000000000; keepalive_timeout 300s;
  client_body_temp_path ${folder}/body; proxy_temp_path ${folder}/proxy;
  fastcgi_temp_path ${folder}/f; uwsgi_temp_path ${folder}/u; scgi_temp_path ${folder}/s;
  proxy_cache_path ${folder}/cache levels=1:2 keys_zone=items:256m max_size=8g inactive=1d
    use_temp_path=off;
  open_file_cache max=8000 inactive=1h; open_file_cache_valid 1h;
  upstream origin { server ${origin}; keepalive 64; }
  server {
    listen 127.0.0.1:${port} backlog=8192;
    location / {
      proxy_pass http://origin; proxy_http_version 1.1; proxy_set_header Connection "";
      proxy_cache items; proxy_cache_lock on; proxy_cache_use_stale updating error timeout;
      proxy_cache_background_update on; add_header X-Cache $upstream_cache_status;
    }
  }
}
`;

/** nginx with its cache on a memory file system, as its own documentation sets it up. */
export async function startNginx(originUrl: string): Promise<Server | undefined> {
  const command = programPath('nginx');
  if (command === undefined) return undefined;
  const folder = mkdtempSync('/dev/shm/millrace-nginx-');
  const port = await freePort();
  const config = join(folder, 'nginx.conf');
  writeFileSync(config, nginxConfig(folder, port, new URL(originUrl).host));
  const url = `http://127.0.0.1:${port}`;
  return startServer({
    name: 'nginx proxy_cache',
    command,
    folder,
    args: ['-e', `${folder}/error.log`, '-c', config],
    readyUrl: async () => ((await answers(`${url}/items/ready`)) ? url : undefined),
  });
}

/** Varnish with its cache in memory and its built-in rules. */
export async function startVarnish(originUrl: string): Promise<Server | undefined> {
  const command = programPath('varnishd');
  if (command === undefined) return undefined;
  const folder = mkdtempSync('/dev/shm/millrace-varnish-');
  const port = await freePort();
  const url = `http://127.0.0.1:${port}`;
  const listen = ['-a', `127.0.0.1:${port}`, '-b', new URL(originUrl).host];
  const store = ['-s', 'malloc,2g', '-n', folder, '-j', 'none', '-T', 'none'];
  return startServer({
    name: 'Varnish',
    command,
    folder,
    args: ['-F', ...listen, ...store, '-p', 'thread_pools=1', '-p', 'timeout_idle=300'],
    readyUrl: async () => ((await answers(`${url}/items/ready`)) ? url : undefined),
  });
}
