//! Values and errors between Rust and Python.

use pyo3::exceptions::{PyOSError, PyOverflowError, PyTypeError, PyValueError};
use pyo3::prelude::*;
use pyo3::types::{PyBool, PyBytes, PyDict, PyFloat, PyInt, PyList, PyString, PyTuple};
use toji_client::{Error, Fault, Map, Value};

/// Nesting beyond this is refused: it is a circle.
const DEPTH: usize = 64;

/// A value on its way to Python.
pub(crate) struct Answer(pub(crate) Value);

impl<'py> IntoPyObject<'py> for Answer {
    type Target = PyAny;
    type Output = Bound<'py, PyAny>;
    type Error = PyErr;

    fn into_pyobject(self, py: Python<'py>) -> PyResult<Bound<'py, PyAny>> {
        Ok(match self.0 {
            Value::Nil => py.None().into_bound(py),
            Value::Bool(b) => PyBool::new(py, b).to_owned().into_any(),
            Value::Int(i) => PyInt::new(py, i).into_any(),
            Value::Double(d) => PyFloat::new(py, d).into_any(),
            Value::Str(s) | Value::DateTime(s) => PyString::new(py, &s).into_any(),
            Value::Bytes(b) => PyBytes::new(py, &b).into_any(),
            Value::Array(items) => {
                let list = PyList::empty(py);
                for item in items {
                    list.append(Answer(item))?;
                }
                list.into_any()
            }
            Value::Struct(map) => {
                let dict = PyDict::new(py);
                for (name, value) in map {
                    dict.set_item(&*name, Answer(value))?;
                }
                dict.into_any()
            }
        })
    }
}

/// An entry of a multicall: a value, or the exception of its fault.
pub(crate) struct Entry(pub(crate) Result<Value, Fault>);

impl<'py> IntoPyObject<'py> for Entry {
    type Target = PyAny;
    type Output = Bound<'py, PyAny>;
    type Error = PyErr;

    fn into_pyobject(self, py: Python<'py>) -> PyResult<Bound<'py, PyAny>> {
        match self.0 {
            Ok(value) => Answer(value).into_pyobject(py),
            Err(fault) => Ok(failed(Error::Fault(fault)).into_value(py).into_bound(py).into_any()),
        }
    }
}

/// What a Python object is as a value.
pub(crate) fn from_python(object: &Bound<'_, PyAny>, depth: usize) -> PyResult<Value> {
    if depth > DEPTH {
        return Err(PyValueError::new_err("nested too deeply"));
    }
    if object.is_none() {
        return Ok(Value::Nil);
    }
    if let Ok(truth) = object.cast::<PyBool>() {
        return Ok(Value::Bool(truth.is_true()));
    }
    if let Ok(number) = object.cast::<PyInt>() {
        let number = number.extract::<i64>();
        return number.map(Value::Int).map_err(|_| PyOverflowError::new_err("more than 64 bits"));
    }
    if let Ok(number) = object.cast::<PyFloat>() {
        return Ok(Value::Double(number.value()));
    }
    if let Ok(text) = object.cast::<PyString>() {
        return Ok(Value::Str(text.to_cow()?.into_owned()));
    }
    if let Ok(bytes) = object.cast::<PyBytes>() {
        return Ok(Value::Bytes(bytes.as_bytes().to_vec()));
    }
    if let Ok(list) = object.cast::<PyList>() {
        return list
            .iter()
            .map(|item| from_python(&item, depth + 1))
            .collect::<PyResult<_>>()
            .map(Value::Array);
    }
    if let Ok(list) = object.cast::<PyTuple>() {
        return list
            .iter()
            .map(|item| from_python(&item, depth + 1))
            .collect::<PyResult<_>>()
            .map(Value::Array);
    }
    if let Ok(dict) = object.cast::<PyDict>() {
        return struct_from(dict, depth).map(Value::Struct);
    }
    Err(PyTypeError::new_err(format!("cannot send a {}", object.get_type().name()?)))
}

/// What a dictionary is as a struct.
pub(crate) fn map_from(dict: &Bound<'_, PyDict>) -> PyResult<Map> {
    struct_from(dict, 0)
}

fn struct_from(dict: &Bound<'_, PyDict>, depth: usize) -> PyResult<Map> {
    let mut map = Map::with_capacity(dict.len());
    for (name, value) in dict.iter() {
        map.insert(name.extract::<String>()?, from_python(&value, depth + 1)?);
    }
    Ok(map)
}

/// The exception for an error: the package has one for each kind of fault.
pub(crate) fn failed(error: Error) -> PyErr {
    let text = chain(&error);
    match &error {
        Error::Fault(fault) => Python::attach(|py| {
            let made = py
                .import("toji_client.exceptions")
                .and_then(|module| module.getattr("of_fault")?.call1((fault.code, &fault.message)));
            made.map_or_else(|error| error, PyErr::from_value)
        }),
        Error::Transport { .. } | Error::Status { .. } | Error::File { .. } => {
            PyOSError::new_err(text)
        }
        Error::Settings(_) | Error::Profile(_) => PyValueError::new_err(text),
        _ => Python::attach(|py| {
            let made = py
                .import("toji_client.exceptions")
                .and_then(|module| module.getattr("KojiException")?.call1((text,)));
            made.map_or_else(|error| error, PyErr::from_value)
        }),
    }
}

fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut next = error.source();
    while let Some(cause) = next {
        text.push_str(&format!(": {cause}"));
        next = cause.source();
    }
    text
}
