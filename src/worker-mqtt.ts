/**
 * WebSockets of the app port that speak MQTT are told by the sub-protocol which they offer, at
 * whatever path; all others are the gateway's.
 */
import type { Socket, WebSocketHandler } from './protocols/http/port.ts';
import type { Accept } from './protocols/mqtt/channel.ts';
import { MqttSocketState, MqttWebSockets, offeredMqtt } from './protocols/mqtt/web-socket.ts';

export function withMqtt<State>(
  others: WebSocketHandler<State>,
  accept: Accept | undefined,
): WebSocketHandler<State | MqttSocketState> {
  if (accept === undefined) return others as WebSocketHandler<State | MqttSocketState>;
  const mqtt = new MqttWebSockets(accept);
  const handlerOf = ({ state }: Socket<unknown>): WebSocketHandler<unknown> =>
    (state instanceof MqttSocketState ? mqtt : others) as WebSocketHandler<unknown>;
  return {
    leavesOriginTo: (request) =>
      offeredMqtt(request) === undefined && others.leavesOriginTo?.(request) === true,
    upgrade: (request) =>
      offeredMqtt(request) === undefined ? others.upgrade(request) : mqtt.upgrade(request),
    open: (socket) => handlerOf(socket).open(socket),
    message: (socket, data, binary) => handlerOf(socket).message(socket, data, binary),
    drain: (socket) => handlerOf(socket).drain(socket),
    closed: (socket, code) => handlerOf(socket).closed(socket, code),
  };
}
