// Where Next.js keeps what it made: in the node, whose address the node gives (MILLRACE_URL), with
// the credentials that start.js gives (NEXT_CACHE_USERNAME, NEXT_CACHE_PASSWORD).
import { createCacheHandler } from 'millrace/next';

export default createCacheHandler();
