import type { Dispatcher } from 'undici'
import type { CallOptions, Pacer } from '../index.js'

/**
 * An interceptor for dispatchers of undici 7 and newer: `new Agent().compose(pace(pacer))`. Each dispatch goes through the
 * pacer; answers that ask for another attempt are not shown. A body that is a stream is sent once; `fetch` makes a
 * stream of every body, so wrap it with `pacer.wrap(fetch)` instead.
 */
export function pace(pacer: Pacer, options?: CallOptions): Dispatcher.DispatcherComposeInterceptor
