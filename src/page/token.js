import { byId } from './dom.js'

const KEY = 'leat-admin-token'

const form = /** @type {HTMLFormElement} */ (byId('login'))
const input = /** @type {HTMLInputElement} */ (byId('token'))

/**
 * The headers of a request to the agent. The token is kept until the tab is closed, and no cookie has it, so that no page
 * of another site can use it.
 *
 * @returns {Record<string, string>}
 */
export function authorization() {
  const token = sessionStorage.getItem(KEY)
  return token === null ? {} : { authorization: `Bearer ${token}` }
}

/** Asks for the token, because the agent has refused a request without one or with a wrong one. */
export function askForToken() {
  sessionStorage.removeItem(KEY)
  if (!form.hidden) return
  form.hidden = false
  input.focus()
}

form.addEventListener('submit', (event) => {
  event.preventDefault()
  sessionStorage.setItem(KEY, input.value.trim())
  input.value = ''
  form.hidden = true
})
