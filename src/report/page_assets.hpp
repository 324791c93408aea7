#pragma once

// What a page looks like and what its tables do.

namespace scvi::report {

inline constexpr const char* kPageStyle = R"css(
:root { --ink: #222; --muted: #606060; --line: #e2e2e2; --shade: #f6f7f9; --accent: #0b62a3; }
* { box-sizing: border-box; }
body { margin: 0; color: var(--ink); background: #fff; line-height: 1.5;
       font: 15px/1.5 system-ui, -apple-system, "Segoe UI", "DejaVu Sans", Helvetica, Arial, sans-serif; }
main, header { max-width: 76rem; margin: 0 auto; padding: 0 1.5rem; }
header { padding-top: 2rem; }
h1 { margin: 0; font-size: 1.7rem; line-height: 1.2; overflow-wrap: anywhere; }
h2 { margin: 2.6rem 0 .6rem; padding-bottom: .3rem; border-bottom: 1px solid var(--line); font-size: 1.25rem; }
header p { margin: .3rem 0 0; color: var(--muted); }
nav { position: sticky; top: 0; z-index: 2; background: #fff; border-bottom: 1px solid var(--line);
      max-width: 76rem; margin: 1rem auto 0; padding: .5rem 1.5rem; }
nav a { margin-right: 1.2rem; color: var(--accent); text-decoration: none; white-space: nowrap; }
nav a:hover, nav a:focus-visible { text-decoration: underline; }
h2 { scroll-margin-top: 3rem; }
p { max-width: 50rem; }
.warning { border-left: 4px solid #d55e00; background: #fdf3ec; padding: .5rem .8rem; }
dl { display: grid; grid-template-columns: max-content 1fr; gap: .2rem 1.2rem; margin: .6rem 0; }
dt { color: var(--muted); }
dd { margin: 0; overflow-wrap: anywhere; }
pre { background: var(--shade); padding: .7rem .9rem; border-radius: 4px; overflow-x: auto; font-size: 13px; }
figure { margin: 1rem 0; }
.drawing { overflow-x: auto; }
figure svg { display: block; max-width: 100%; height: auto; }
figcaption { color: var(--muted); max-width: 50rem; margin-top: .3rem; font-size: .92rem; }
.tools { display: none; gap: .8rem; align-items: center; flex-wrap: wrap; margin: .6rem 0 .4rem; }
.scripted .tools { display: flex; }
.tools input { font: inherit; padding: .25rem .5rem; min-width: 15rem; border: 1px solid #aaa; border-radius: 4px; }
.tools button { font: inherit; padding: .25rem .7rem; border: 1px solid #aaa; border-radius: 4px; background: #fff;
                cursor: pointer; }
.tools button:hover { background: var(--shade); }
.count { color: var(--muted); }
.scroll { overflow: auto; max-width: max-content; max-height: 36rem; border: 1px solid var(--line); }
table { border-collapse: collapse; font-size: 13.5px; font-variant-numeric: tabular-nums; }
th, td { padding: .25rem .7rem; text-align: left; white-space: nowrap; border-bottom: 1px solid var(--line); }
td.number, th.number { text-align: right; }
thead th { position: sticky; top: 0; background: var(--shade); }
thead th[title] { text-decoration: underline dotted #999; text-underline-offset: 3px; }
tbody tr:hover { background: var(--shade); }
.scripted th button { all: unset; cursor: pointer; font-weight: 600; }
.scripted th button:focus-visible { outline: 2px solid var(--accent); }
th[aria-sort=ascending] button::after { content: " \25B2"; font-size: .7em; }
th[aria-sort=descending] button::after { content: " \25BC"; font-size: .7em; }
footer { margin: 3rem 0 2rem; color: var(--muted); font-size: .9rem; }
@media print { nav, .tools { display: none !important; } .scroll { max-height: none; overflow: visible; } }
)css";

inline constexpr const char* kPageScript = R"js(
'use strict';
(() => {
  const kFirst = 100;   // rows that are shown at first
  const kFewRows = 4;   // nobody searches fewer
  const views = new Map();
  document.documentElement.classList.add('scripted');

  const readAddress = () => new URLSearchParams(location.hash.slice(1));
  function writeAddress() {
    const words = new URLSearchParams();
    for (const view of views.values()) {
      if (view.sort) words.set(view.id + '.sort', view.sort);
      if (view.find) words.set(view.id + '.find', view.find);
      if (view.all) words.set(view.id + '.all', '1');
    }
    const text = words.toString();
    history.replaceState(null, '', text ? '#' + text : location.pathname + location.search);
  }

  class View {
    constructor(element) {
      this.id = element.id;
      this.table = element.querySelector('table');
      this.body = this.table.tBodies[0];
      this.rows = [...this.body.rows];
      this.heads = [...this.table.tHead.rows[0].cells];
      this.word = element.dataset.word;
      this.search = element.querySelector('input');
      this.count = element.querySelector('.count');
      this.more = element.querySelector('.more');
      this.search.hidden = this.rows.length < kFewRows;
      this.texts = this.rows.map(row => [...row.cells].map(cell => cell.textContent).join(' ').toLowerCase());
      this.rows.forEach((row, i) => { row.dataset.at = i; });
      this.heads.forEach((head, i) => {
        const button = document.createElement('button');
        button.textContent = head.textContent;
        head.replaceChildren(button);
        // Numbers are first wanted with the largest on top, names from A on.
        const first = head.classList.contains('number') ? -(i + 1) : i + 1;
        button.addEventListener('click', () => {
          this.sort = this.sort === first ? -first : first;
          this.show();
          writeAddress();
        });
      });
      this.search.addEventListener('input', () => { this.find = this.search.value; this.show(); writeAddress(); });
      this.more.addEventListener('click', () => { this.all = !this.all; this.show(); writeAddress(); });
      element.querySelector('.save').addEventListener('click', () => this.save());
    }

    read(words) {
      const sort = Number(words.get(this.id + '.sort'));
      this.sort = Number.isInteger(sort) && Math.abs(sort) <= this.heads.length ? sort : 0;
      this.find = words.get(this.id + '.find') || '';
      this.all = words.get(this.id + '.all') === '1';
      this.search.value = this.find;
      this.show();
    }

    value(row, column) {
      const cell = row.cells[column];
      if (!this.heads[column].classList.contains('number')) return cell.textContent;
      return cell.dataset.value === undefined ? NaN : Number(cell.dataset.value);
    }

    /// What is missing comes last, whichever way; rows that are alike stay in the order that they were given in.
    compare(a, b, column, sign) {
      const left = this.value(a, column), right = this.value(b, column);
      let order;
      if (typeof left === 'number') {
        if (Number.isNaN(left) || Number.isNaN(right)) order = Number.isNaN(left) - Number.isNaN(right);
        else order = left < right ? -sign : left > right ? sign : 0;
      } else if (left === '' || right === '') {
        order = (left === '') - (right === '');
      } else {
        order = sign * left.localeCompare(right, 'en', {numeric: true});
      }
      return order || a.dataset.at - b.dataset.at;
    }

    shown() {
      const words = this.find.toLowerCase().split(/\s+/).filter(word => word);
      const found = this.rows.filter(row => words.every(word => this.texts[row.dataset.at].includes(word)));
      const column = Math.abs(this.sort) - 1;
      if (column >= 0) found.sort((a, b) => this.compare(a, b, column, Math.sign(this.sort)));
      return found;
    }

    show() {
      const found = this.shown();
      const first = this.all ? found : found.slice(0, kFirst);
      this.body.replaceChildren(...first);
      this.heads.forEach((head, i) => {
        if (Math.abs(this.sort) === i + 1) head.ariaSort = this.sort > 0 ? 'ascending' : 'descending';
        else head.removeAttribute('aria-sort');
      });
      const of = found.length === this.rows.length ? '' : ` of ${this.rows.length}`;
      this.count.textContent = first.length === found.length ? `${found.length}${of} ${this.word}`
                                                             : `first ${first.length} of ${found.length} ${this.word}`;
      this.more.hidden = found.length <= kFirst;
      this.more.textContent = this.all ? `Show the first ${kFirst}` : `Show all ${found.length}`;
    }

    save() {
      const field = text => /["\t\n\r]/.test(text) ? '"' + text.replaceAll('"', '""') + '"' : text;
      const line = fields => fields.map(field).join('\t') + '\n';
      const lines = [line(this.heads.map(head => head.textContent))];
      for (const row of this.shown()) {
        lines.push(line([...row.cells].map(cell => cell.dataset.value ?? cell.textContent)));
      }
      const link = document.createElement('a');
      link.href = URL.createObjectURL(new Blob(lines, {type: 'text/tab-separated-values'}));
      link.download = this.id + '.tsv';
      link.click();
      URL.revokeObjectURL(link.href);
    }
  }

  for (const element of document.querySelectorAll('.sortable')) views.set(element.id, new View(element));
  const readAll = () => { for (const view of views.values()) view.read(readAddress()); };
  addEventListener('hashchange', () => { if (location.hash.includes('=')) readAll(); });
  readAll();
})();
)js";

}  // namespace scvi::report
