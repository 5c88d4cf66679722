/** All that uses the NATS library, so that a node without a NATS server does not load it. */
import { BackboneStream } from './backbone-stream.ts';
import type { StreamSettings } from './nats-stream.ts';
import type { ClusterSecret } from './proof.ts';
import { NewsSeal } from './sealed-news.ts';

export { openSwitchboard } from './switchboard.ts';

export interface BackboneSettings {
  readonly cluster: string;
  readonly secret: ClusterSecret;
  readonly settings: StreamSettings;
  readonly told: (state: 'attached' | 'detached', detail: string) => void;
}

export const openBackbone = ({ secret, cluster, ...rest }: BackboneSettings): BackboneStream =>
  new BackboneStream({ ...rest, cluster, seal: new NewsSeal(secret, cluster) });
