/** The node engine against the suite of the HTTP port. */
import { describeHttpPort } from './suite.ts';

describeHttpPort('node');
