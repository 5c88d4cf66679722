/**
 * How a node gets its certificate: it makes a key, dials the founder of the cluster, knows it by
 * the hash of the authority's certificate in the join token, and has its public key signed for the
 * secret in that token. The key never leaves the node.
 */
import { createPublicKey, generateKeyPairSync, X509Certificate } from 'node:crypto';
import type { IncomingMessage, ServerResponse } from 'node:http';
import { request as httpsRequest } from 'node:https';
import type { TLSSocket } from 'node:tls';
import { asNodeError, NodeError } from '../../base/errors.ts';
import { LIMITS } from '../../config/limits.ts';
import { fingerprintOf, type JoinRequest, type JoinToken } from './cluster-folder.ts';
import type { LinkCounts } from './counts.ts';
import { isNodeName, JOIN_PATH, type LinkTls } from './link-options.ts';

export interface JoinAnswer {
  readonly cert: string;
  readonly ca: string;
}

const BODY_BYTES_MAX = 16 * 1024;

/** Answers one request to join. Never rejects. */
export async function answerJoin(
  request: IncomingMessage,
  response: ServerResponse,
  by: { readonly admit: (request: JoinRequest) => JoinAnswer; readonly counts: LinkCounts },
): Promise<void> {
  let status = 200;
  let text: string;
  try {
    text = JSON.stringify(by.admit(joinRequest(await bodyOf(request))));
  } catch (error) {
    const known = asNodeError(error);
    by.counts.refused(known.code === 'PEER_REFUSED' ? 'credentials' : 'request');
    status = known.code === 'PEER_REFUSED' ? 403 : 400;
    text = known.code === 'INTERNAL' ? 'the request to join cannot be read' : known.message;
  }
  response.writeHead(status, { connection: 'close', 'content-type': 'text/plain' });
  response.end(text);
}

function joinRequest(text: string): JoinRequest {
  const { name, secret, publicKey } = JSON.parse(text) as Readonly<Record<string, unknown>>;
  if (typeof name !== 'string' || typeof secret !== 'string' || typeof publicKey !== 'string') {
    throw new NodeError('REQUEST_MALFORMED', 'name, secret and publicKey are texts');
  }
  if (!isNodeName(name)) throw new NodeError('REQUEST_MALFORMED', 'that is no name of a node');
  if (createPublicKey(publicKey).asymmetricKeyType !== 'ec') {
    throw new NodeError('REQUEST_MALFORMED', 'the key must be one of an elliptic curve');
  }
  return { name, secret, publicKey };
}

/** Rejects with `PEER_UNREACHABLE` or `PEER_REFUSED`, each with what to do. */
export async function joinCluster(url: string, token: JoinToken, name: string): Promise<LinkTls> {
  const { publicKey, privateKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' });
  const body = JSON.stringify({
    ...{ name, secret: token.secret },
    publicKey: publicKey.export({ type: 'spki', format: 'pem' }),
  });
  const { cert, ca } = await askToSign(url, token, body);
  const signed = new X509Certificate(cert);
  if (fingerprintOf(ca) !== token.authority || !signed.verify(new X509Certificate(ca).publicKey)) {
    throw refused(`${url} answered with a certificate of another authority`);
  }
  return { cert, ca, key: privateKey.export({ type: 'pkcs8', format: 'pem' }).toString() };
}

function askToSign(url: string, token: JoinToken, body: string): Promise<JoinAnswer> {
  const target = new URL(JOIN_PATH, url.replace(/^ws/, 'http'));
  target.protocol = 'https:';
  return new Promise((resolve, reject) => {
    const asking = httpsRequest(target, {
      method: 'POST',
      agent: false,
      // The authority is known by its hash alone; it is looked at before the secret is sent.
      rejectUnauthorized: false,
      timeout: LIMITS.replicationDialMsMax,
    });
    const fail = (why: string, cause?: unknown) =>
      reject(
        new NodeError('PEER_UNREACHABLE', `${url} cannot be asked to sign: ${why}`, {
          ...{ blame: 'peer', retry: 'later', cause },
        }),
      );
    asking.on('timeout', () => asking.destroy(new Error('it does not answer')));
    asking.on('error', (error) => fail(error.message, error));
    asking.on('socket', (socket) => {
      const secure = socket as TLSSocket;
      secure.once('secureConnect', () => {
        if (isOfAuthority(secure, token.authority)) asking.end(body);
        else {
          reject(refused(`${url} is of another cluster than the join token`));
          asking.destroy();
        }
      });
    });
    asking.on('response', (response) => {
      bodyOf(response).then(
        (text) => {
          if (response.statusCode === 200) resolve(JSON.parse(text) as JoinAnswer);
          else reject(refused(`${url} refused (${response.statusCode}): ${text}`));
        },
        (error: unknown) => fail(String(error), error),
      );
    });
  });
}

/** Whether the node shows a certificate that this authority has signed. */
function isOfAuthority(socket: TLSSocket, authority: string): boolean {
  // The chain can be asked for once; the other form of it would come back without the issuer.
  const leaf = socket.getPeerX509Certificate();
  const ca = leaf?.issuerCertificate;
  if (leaf === undefined || ca === undefined) return false;
  return fingerprintOf(ca.toString()) === authority && leaf.verify(ca.publicKey);
}

async function bodyOf(message: IncomingMessage): Promise<string> {
  const chunks: Buffer[] = [];
  let length = 0;
  for await (const chunk of message as AsyncIterable<Buffer>) {
    length += chunk.length;
    if (length > BODY_BYTES_MAX) {
      message.destroy();
      throw new NodeError('BODY_TOO_LARGE', 'a request to join is short');
    }
    chunks.push(chunk);
  }
  return Buffer.concat(chunks).toString();
}

const refused = (message: string): NodeError =>
  new NodeError('PEER_REFUSED', message, { blame: 'peer' });
