/**
 * The recordings of rules/tests, written from stories: the same text on every machine and every day, so that a test can
 * tell whether the files still say what the stories say.
 */
import { encodeEvent } from '../../src/events/codec.js';
import {
  RECORDING_VERSION,
  type RecordingHeader,
  type RecordingTrailer,
} from '../../src/events/recording.js';
import { OPTIONS, Story, T0 } from '../scene/build.js';
import type { RuleStories, Told } from './stories/story.js';

/** Where they are, from the root of the repository. */
export const DIRECTORY = 'rules/tests';

export interface RecordingFile {
  /** From `DIRECTORY`. */
  readonly path: string;
  readonly text: string;
}

export function filesOf(stories: readonly RuleStories[]): readonly RecordingFile[] {
  return stories.flatMap(({ rule, hit, miss }) => [
    { path: `${rule}/hit-${hit.ask}.jsonl`, text: recordingOf(storyOf(hit)) },
    { path: `${rule}/miss-${miss.ask}.jsonl`, text: recordingOf(storyOf(miss)) },
  ]);
}

export function storyOf(told: Told): Story {
  const story = new Story();
  told.tell(story);
  return story;
}

/** As `xctl-agent --record` would have written it. */
export function recordingOf({ events, now }: Story): string {
  const header: RecordingHeader = {
    apiVersion: RECORDING_VERSION,
    kind: 'Recording',
    node: OPTIONS.node,
    agentVersion: '0.1.0',
    startedAt: new Date(T0).toISOString(),
    bootEpochMs: OPTIONS.bootMs,
  };
  const trailer: RecordingTrailer = {
    kind: 'RecordingEnd',
    endedAt: new Date(now).toISOString(),
    events: events.length,
    dropped: 0,
  };
  const lines = [JSON.stringify(header), ...events.map(encodeEvent), JSON.stringify(trailer)];
  return `${lines.join('\n')}\n`;
}
