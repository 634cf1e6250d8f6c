import type { AxiosInstance } from 'axios'
import type { CallOptions, Pacer } from '../index.js'

declare module 'axios' {
  interface AxiosRequestConfig {
    /** Options of this request's call, over those of `pace`. `signal` is axios's own. */
    pacer?: Omit<CallOptions, 'signal'> | undefined
  }
}

/**
 * Every request of `instance` (axios itself, or what `axios.create()` gave) goes through the pacer from now on, by its
 * adapter; interceptors run once. Returns the instance. A body that is a stream is sent once.
 *
 *     const api = pace(axios.create({ baseURL }), new Pacer('100/minute'))
 *     await api.get('/items', { pacer: { label: 'list items' } })
 */
export function pace<T extends AxiosInstance>(instance: T, pacer: Pacer, options?: CallOptions): T
