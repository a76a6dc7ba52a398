import { plain } from '../observe/text.js'

// Everything that is shown goes through here, as text: a name from outside can never become markup.

/**
 * The element of this id, which is in index.html.
 *
 * @param {string} id
 * @returns {HTMLElement}
 */
export function byId(id) {
  const found = document.getElementById(id)
  if (found === null) throw new Error(`index.html has no #${id}`)
  return found
}

/**
 * @template {keyof HTMLElementTagNameMap} Name
 * @param {Name} name
 * @param {string} [look] its class
 * @param {(Node | string)[]} children
 * @returns {HTMLElementTagNameMap[Name]}
 */
export function make(name, look = '', ...children) {
  const element = document.createElement(name)
  if (look !== '') element.className = look
  element.append(...children.map((child) => (typeof child === 'string' ? plain(child) : child)))
  return element
}

/**
 * What has not changed is left alone, so that nobody is told of it and no selection is lost.
 *
 * @param {HTMLElement} element
 * @param {string} text
 */
export function say(element, text) {
  const safe = plain(text)
  if (element.textContent !== safe) element.textContent = safe
}

/**
 * As `say`; hidden when there is nothing to say.
 *
 * @param {HTMLElement} element
 * @param {string} text
 */
export function sayOrHide(element, text) {
  say(element, text)
  element.hidden = text === ''
}

/**
 * Asks the page itself about an image or a digest.
 *
 * @param {string} subject
 * @param {string} [text] default: the subject
 */
export function whyLink(subject, text = subject) {
  const link = make('a', '', text)
  link.href = `#why=${encodeURIComponent(subject)}`
  return link
}

/** @param {string} digest */
export function shortDigest(digest) {
  const end = digest.indexOf(':') + 1 + 12
  return digest.length > end ? `${digest.slice(0, end)}…` : digest
}

/**
 * Keeps one child of a list for each item, in their order. A child stays while its item does, so that focus, selection
 * and a screen reader's place in it stay too.
 *
 * @template Item
 * @param {HTMLElement} list
 * @param {(item: Item) => string} keyOf
 * @param {(item: Item) => { element: HTMLElement, update: (item: Item) => void }} begin
 * @returns {(items: readonly Item[]) => void}
 */
export function keeper(list, keyOf, begin) {
  /** @type {Map<string, ReturnType<typeof begin>>} */
  const shown = new Map()
  return (items) => {
    const keys = new Set(items.map(keyOf))
    for (const [key, { element }] of shown) {
      if (keys.has(key)) continue
      element.remove()
      shown.delete(key)
    }
    for (const [at, item] of items.entries()) {
      const key = keyOf(item)
      const child = shown.get(key) ?? begin(item)
      shown.set(key, child)
      child.update(item)
      if (list.children[at] !== child.element) list.insertBefore(child.element, list.children[at] ?? null)
    }
  }
}

/**
 * A row for `keeper`: its first cell names it, the others are texts.
 *
 * @param {Node | string} name
 * @param {readonly string[]} looks the class of each further cell
 */
export function tableRow(name, looks) {
  const head = make('th', '', name)
  head.scope = 'row'
  const cells = looks.map((look) => make('td', look))
  return {
    element: make('tr', '', head, ...cells),
    /** @param {readonly string[]} texts */
    fill(texts) {
      for (const [at, cell] of cells.entries()) say(cell, texts[at] ?? '')
    },
  }
}
