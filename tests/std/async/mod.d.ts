// Types of the functions of @std/async, by their public behaviour. Not here: channel (see mod.js).

export interface DelayOptions {
  signal?: AbortSignal;
  persistent?: boolean;
}
export function delay(ms: number, options?: DelayOptions): Promise<void>;

export interface DeadlineOptions {
  signal?: AbortSignal;
}
export function deadline<T>(p: Promise<T>, ms: number, options?: DeadlineOptions): Promise<T>;

export function abortable<T>(p: Promise<T>, signal: AbortSignal): Promise<T>;
export function abortable<T>(p: AsyncIterable<T>, signal: AbortSignal): AsyncGenerator<T>;

export interface RetryOptions {
  maxAttempts?: number;
  minTimeout?: number;
  maxTimeout?: number;
  multiplier?: number;
  jitter?: number;
  isRetriable?: (error: unknown) => boolean;
  signal?: AbortSignal;
}
export class RetryError extends Error {
  constructor(cause: unknown, attempts: number);
}
export function retry<T>(fn: () => T | Promise<T>, options?: RetryOptions): Promise<T>;

export interface DebouncedFunction<A extends unknown[]> {
  (...args: A): void;
  clear(): void;
  flush(): void;
  readonly pending: boolean;
}
export function debounce<A extends unknown[]>(
  fn: (this: DebouncedFunction<A>, ...args: A) => void,
  wait: number,
  options?: { signal?: AbortSignal },
): DebouncedFunction<A>;

export class MuxAsyncIterator<T> implements AsyncIterable<T> {
  add(iterable: AsyncIterable<T>): void;
  iterate(): AsyncIterableIterator<T>;
  [Symbol.asyncIterator](): AsyncIterableIterator<T>;
}
export function pooledMap<T, R>(
  poolLimit: number,
  array: Iterable<T> | AsyncIterable<T>,
  iteratorFn: (data: T) => Promise<R>,
): AsyncIterableIterator<R>;
export function tee<T>(iterable: AsyncIterable<T>, n?: number): AsyncIterable<T>[];
