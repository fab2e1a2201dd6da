/** Faults of the engines beside the SMs: copy, video, JPEG, optical flow, security and deep learning. */
import type { XidEntry, XidTable } from './entry.js';

function copyEngine(index: number): XidEntry {
  return {
    name: `copy-engine-${index}`,
    class: 'hardware',
    role: 'cause',
    means: `Copy engine ${index}, which moves data from and to the GPU, reported an error.`,
    immediate: 'restart-app',
    followUp: 'contact-support',
  };
}

function videoDecoder(index: number): XidEntry {
  return {
    name: `video-decoder-${index}`,
    class: 'hardware',
    role: 'cause',
    means: `Video decoder ${index} (NVDEC) reported an error.`,
    immediate: 'restart-app',
    followUp: 'contact-support',
  };
}

function jpegEngine(index: number): XidEntry {
  return {
    name: `jpeg-engine-${index}`,
    class: 'hardware',
    role: 'cause',
    means: `JPEG engine ${index} (NVJPG) reported an error.`,
    immediate: 'restart-app',
    followUp: 'contact-support',
  };
}

function opticalFlow(index: number): XidEntry {
  return {
    name: `optical-flow-${index}`,
    class: 'hardware',
    role: 'cause',
    means: `Optical flow engine ${index} (OFA) reported an error.`,
    immediate: 'restart-app',
    followUp: 'contact-support',
  };
}

export const ENGINE = {
  39: copyEngine(0),
  40: copyEngine(1),
  41: copyEngine(2),
  60: {
    name: 'security-engine',
    class: 'driver',
    role: 'cause',
    means: 'The engine that handles protected video and keys (SEC2) raised an exception.',
    immediate: 'restart-app',
    followUp: 'check-software',
  },
  68: videoDecoder(0),
  70: copyEngine(3),
  71: copyEngine(4),
  72: copyEngine(5),
  75: copyEngine(6),
  76: copyEngine(7),
  77: copyEngine(8),
  82: jpegEngine(0),
  83: videoDecoder(1),
  84: videoDecoder(2),
  85: copyEngine(9),
  86: opticalFlow(0),
  88: videoDecoder(3),
  89: videoDecoder(4),
  96: videoDecoder(5),
  97: videoDecoder(6),
  98: videoDecoder(7),
  99: jpegEngine(1),
  100: jpegEngine(2),
  101: jpegEngine(3),
  102: jpegEngine(4),
  103: jpegEngine(5),
  104: jpegEngine(6),
  105: jpegEngine(7),
  126: copyEngine(10),
  127: copyEngine(11),
  128: copyEngine(12),
  129: copyEngine(13),
  130: copyEngine(14),
  131: copyEngine(15),
  132: copyEngine(16),
  133: copyEngine(17),
  134: copyEngine(18),
  135: copyEngine(19),
  139: opticalFlow(1),
  142: {
    name: 'video-encoder-3',
    class: 'hardware',
    role: 'cause',
    means: 'Video encoder 3 (NVENC) reported an error.',
    immediate: 'contact-support',
    followUp: 'none',
  },
  152: {
    name: 'dla-memory',
    class: 'hardware',
    role: 'cause',
    means: 'The deep learning accelerator used an address that is not mapped for it.',
    immediate: 'ignore',
    followUp: 'contact-support',
  },
  153: {
    name: 'dla-timeout',
    class: 'hardware',
    role: 'cause',
    means: 'The deep learning accelerator did not answer in time.',
    immediate: 'ignore',
    followUp: 'contact-support',
  },
} as const satisfies XidTable;
