// Annotations as they are saved. A mask that stands in an object twice is written once.

export const pack = (objects) =>
  objects.map(({ answer, ...object }) => ({
    ...object,
    base: same(object.base, object.rle) ? true : object.base,
    answer: answer && { ...answer, rle: same(answer.rle, object.rle) ? true : answer.rle },
  }));

export const unpack = (objects) =>
  objects.map(({ answer, ...object }) => ({
    ...object,
    base: object.base === true ? object.rle : object.base,
    answer: answer && { ...answer, rle: answer.rle === true ? object.rle : answer.rle },
  }));

const same = (one, other) => Boolean(one && other) && one.counts === other.counts;
