/** The uWS engine against the suite of the HTTP port; needs a build that loads on this machine. */
import { describeHttpPort } from './suite.ts';

describeHttpPort('uws');
