//! As much of JSON Schema as the published schema uses. A keyword that is not known here fails.

use serde_json::Value;

pub(crate) fn accepts(root: &Value, schema: &Value, value: &Value) -> bool {
    let rules = schema.as_object().unwrap();
    rules.iter().all(|(keyword, rule)| {
        let size = |length: usize| usize::try_from(rule.as_u64().unwrap()).unwrap() >= length;
        match keyword.as_str() {
            "$schema" | "title" | "description" | "$defs" => true,
            "$ref" => {
                let pointer = rule.as_str().unwrap().strip_prefix('#').unwrap();
                accepts(root, root.pointer(pointer).unwrap(), value)
            }
            "type" => match rule.as_str().unwrap() {
                "object" => value.is_object(),
                "array" => value.is_array(),
                "string" => value.is_string(),
                "boolean" => value.is_boolean(),
                "integer" => value.is_u64() || value.is_i64(),
                other => panic!("{other}"),
            },
            "const" => value == rule,
            "enum" => rule.as_array().unwrap().contains(value),
            "minimum" => value
                .as_i64()
                .is_none_or(|number| number >= rule.as_i64().unwrap()),
            "minItems" => value.as_array().is_none_or(|items| {
                items.len() >= usize::try_from(rule.as_u64().unwrap()).unwrap()
            }),
            "maxItems" => value.as_array().is_none_or(|items| size(items.len())),
            "maxProperties" => value.as_object().is_none_or(|members| size(members.len())),
            "items" => value
                .as_array()
                .is_none_or(|items| items.iter().all(|item| accepts(root, rule, item))),
            "oneOf" => {
                let found = rule.as_array().unwrap().iter();
                found.filter(|one| accepts(root, one, value)).count() == 1
            }
            "required" => value.as_object().is_none_or(|members| {
                let names = rule.as_array().unwrap().iter();
                names
                    .map(|name| name.as_str().unwrap())
                    .all(|name| members.contains_key(name))
            }),
            "properties" => value.as_object().is_none_or(|members| {
                members.iter().all(|(name, value)| {
                    rule.get(name).is_none_or(|rule| accepts(root, rule, value))
                })
            }),
            "additionalProperties" => value.as_object().is_none_or(|members| {
                let listed = |name: &String| {
                    rules
                        .get("properties")
                        .is_some_and(|known| known.get(name).is_some())
                };
                let mut others = members.iter().filter(|(name, _)| !listed(name));
                others.all(|(_, value)| match rule {
                    Value::Bool(allowed) => *allowed,
                    rule => accepts(root, rule, value),
                })
            }),
            "pattern" => {
                let start = rule.as_str().unwrap().strip_prefix('^').unwrap();
                value.as_str().is_none_or(|text| text.starts_with(start))
            }
            other => panic!("{other}"),
        }
    })
}
