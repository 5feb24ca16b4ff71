// A reply's body that is made piece by piece while the client takes it. Nothing is made ahead: the next piece is asked for when the one
// before is on its way [S2].

export interface BodyOptions {
  /** A client that takes nothing for so long is cut. */
  readonly stallMs: number;
  /** A piece could not be made: the body is cut, so that the client sees that it is not whole. */
  readonly onError: (error: unknown) => void;
}

export function streamBody(
  pieces: AsyncGenerator<string>,
  { stallMs, onError }: BodyOptions,
): ReadableStream<Uint8Array> {
  const encoder = new TextEncoder();
  let stall: NodeJS.Timeout | undefined;
  const end = () => {
    clearTimeout(stall);
    return pieces.return(undefined);
  };
  return new ReadableStream<Uint8Array>(
    {
      async pull(controller) {
        clearTimeout(stall);
        try {
          const { done, value } = await pieces.next();
          if (done) return controller.close();
          controller.enqueue(encoder.encode(value));
          stall = setTimeout(() => {
            controller.error(new Error("the reader takes nothing"));
            void end();
          }, stallMs).unref();
        } catch (error) {
          onError(error);
          controller.error(error);
        }
      },
      cancel: () => void end(),
    },
    { highWaterMark: 0 },
  );
}
