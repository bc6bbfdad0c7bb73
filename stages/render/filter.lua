-- Lets pandoc alone do what Quarto does with the report: numbers, references, captions, callouts.
-- The HTML has Quarto's class names, and the typst source calls Quarto's functions, so that one theme serves both.

local html = FORMAT:match("html") ~= nil
local names = { fig = "Figure", tbl = "Table", eq = "Equation", sec = "Section" }
local last = { fig = 0, tbl = 0, eq = 0 }
local section = { 0, 0, 0, 0, 0 }
local labels = {} -- id → number, as the reader sees it

local function raw(text) return pandoc.RawBlock(FORMAT, text) end
local function raw_inline(text) return pandoc.RawInline(FORMAT, text) end

-- Gives a figure, table or equation the next number of its kind.
local function number(id)
  local kind = id:match("^(%l+)-")
  if kind == nil or last[kind] == nil then return end
  last[kind] = last[kind] + 1
  labels[id] = tostring(last[kind])
end

-- `##` is the top level: "1"; `###` below it: "1.1".
local function heading(el)
  if el.classes:includes("unnumbered") then return nil end
  local level = el.level - 1
  section[level] = section[level] + 1
  for deeper = level + 1, #section do section[deeper] = 0 end
  local label = table.concat(section, ".", 1, level)
  labels[el.identifier] = label
  if html then
    el.content:insert(1, pandoc.Space())
    el.content:insert(1, pandoc.Span(label, pandoc.Attr("", { "header-section-number" })))
  end
  return el
end

-- pandoc reads $$ … $$ {#eq-x} as a paragraph of the equation, a space and the text {#eq-x}.
local function equation_id(el)
  local equation, label = el.content[1], el.content[#el.content]
  if equation and equation.t == "Math" and equation.mathtype == "DisplayMath" and label.t == "Str" then
    return label.text:match("^{#(eq%-.+)}$")
  end
end

local function with_number(kind, id, caption)
  local text = pandoc.Inlines { pandoc.Strong { pandoc.Str(names[kind] .. "\u{a0}" .. labels[id] .. ":") }, pandoc.Space() }
  text:extend(caption)
  return text
end

-- A figure or table with its caption. `content`: blocks.
local function float(kind, id, caption, content)
  local blocks = pandoc.Blocks {}
  if html then
    local above = pandoc.Blocks { raw("<figcaption>"), pandoc.Plain(with_number(kind, id, caption)), raw("</figcaption>") }
    local body = pandoc.Blocks { pandoc.Div(content) }
    blocks:insert(raw('<figure class="quarto-float quarto-float-' .. kind .. '">'))
    blocks:extend(kind == "tbl" and above .. body or body .. above)
    blocks:insert(raw("</figure>"))
    return pandoc.Div(blocks, pandoc.Attr(id, { "quarto-float" }))
  end
  blocks:insert(raw("#figure(["))
  blocks:extend(content)
  blocks:insert(raw("], caption: figure.caption(position: " .. (kind == "tbl" and "top" or "bottom") .. ", ["))
  blocks:insert(pandoc.Plain(caption))
  blocks:insert(raw(']), kind: "quarto-float-' .. kind .. '", supplement: "' .. names[kind] .. '")<' .. id .. ">"))
  return blocks
end

local function table_float(el)
  local id, caption = el.identifier, pandoc.utils.blocks_to_inlines(el.caption.long)
  if labels[id] == nil then return nil end
  el.identifier, el.caption = "", { long = {} }
  return float("tbl", id, caption, { el })
end

local function figure_float(el)
  local image = el.content[1].content[1]
  local caption = pandoc.utils.blocks_to_inlines(el.caption.long)
  local alt = image.attributes["fig-alt"]
  image.attributes = { alt = alt }
  image.caption = { pandoc.Str(alt) }
  if html then return float("fig", el.identifier, caption, { pandoc.Plain { image } }) end
  local quoted = '"' .. alt:gsub('[\\"]', "\\%0") .. '"'
  return float("fig", el.identifier, caption, { raw('#box(image("' .. image.src .. '", alt: ' .. quoted .. "))") })
end

local function equation(el)
  local id = equation_id(el)
  if id == nil then return nil end
  if html then
    return pandoc.Div({ pandoc.Plain { el.content[1] }, pandoc.Plain { pandoc.Str("(" .. labels[id] .. ")") } }, pandoc.Attr(id, { "equation" }))
  end
  return pandoc.Para { raw_inline('#math.equation(block: true, numbering: "(1)", [ '), el.content[1], raw_inline(" ])<" .. id .. ">") }
end

local function reference(el)
  local inlines = pandoc.Inlines {}
  for place, citation in ipairs(el.citations) do
    local id = citation.id
    local kind = id:match("^(%l+)-")
    if names[kind] == nil then return nil end
    if labels[id] == nil then error("the reference @" .. id .. " has no target") end
    if place > 1 then inlines:insert(pandoc.Str(", ")) end
    if html then
      inlines:insert(pandoc.Link(names[kind] .. "\u{a0}" .. labels[id], "#" .. id, "", pandoc.Attr("", { "quarto-xref" })))
    else
      inlines:insert(raw_inline("#ref(<" .. id .. ">, supplement: [" .. names[kind] .. "])"))
    end
  end
  return inlines
end

local colours = { note = "0758E5", tip = "00A047", important = "CC1914", warning = "EB9113", caution = "FC5300" }

local function block(el)
  local kind = (el.classes[1] or ""):match("^callout%-(%l+)$")
  if kind == nil then return nil end
  local title = el.attributes.title or (kind:sub(1, 1):upper() .. kind:sub(2))
  if html then
    local head = pandoc.Div({ pandoc.Plain(title) }, pandoc.Attr("", { "callout-header" }))
    local body = pandoc.Div(el.content, pandoc.Attr("", { "callout-body" }))
    return pandoc.Div({ head, body }, pandoc.Attr("", { "callout", "callout-" .. kind }))
  end
  local blocks = pandoc.Blocks { raw("#callout(title: ["), pandoc.Plain(title), raw('], icon_color: rgb("#' .. colours[kind] .. '"), body: [') }
  blocks:extend(el.content)
  blocks:insert(raw("])"))
  return blocks
end

return {
  { Header = heading },
  {
    Figure = function(el) number(el.identifier) end,
    Table = function(el) number(el.identifier) end,
    Para = function(el) number(equation_id(el) or "") end,
  },
  { Cite = reference },
  { Figure = figure_float, Table = table_float, Para = equation, Div = block },
}
