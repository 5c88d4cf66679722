import { fileURLToPath } from 'node:url';

// The example's `millrace` is this repository; in a project of your own the line `turbopack` goes.
const repository = fileURLToPath(new URL('../..', import.meta.url));

export default {
  cacheHandler: fileURLToPath(new URL('./cache-handler.mjs', import.meta.url)),
  // Millrace is the memory of all servers; a second one in each would not hear of changes.
  cacheMaxMemorySize: 0,
  serverExternalPackages: ['millrace'],
  turbopack: { root: repository },
  poweredByHeader: false,
  devIndicators: false,
  // For the cache before Next.js only [RFC 9213]: it is told when to ask anew, so it may keep pages
  // for longer than a browser could be trusted to.
  headers: async () =>
    ['/', '/products/:id'].map((source) => ({
      source,
      headers: [{ key: 'CDN-Cache-Control', value: 'max-age=300, stale-if-error=86400' }],
    })),
};
