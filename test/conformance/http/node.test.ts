import { describeHttpPort } from './suite.ts';

describeHttpPort('node');
