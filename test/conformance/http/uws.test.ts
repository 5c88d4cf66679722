import { describeHttpPort } from './suite.ts';

describeHttpPort('uws');
