//! Squarified treemaps: areas by size, as near to squares as can be
//! ([Bruls, Huizing and van Wijk, 2000](https://vanwijk.win.tue.nl/stm.pdf)).

/// A rectangle; all of the map is 0 to `width` and 0 to `height`.
#[derive(Clone, Copy, PartialEq, Debug)]
pub struct Tile {
    pub x: f64,
    pub y: f64,
    pub width: f64,
    pub height: f64,
}

/// One tile for each size, in their order; `sizes` are positive, the largest first.
pub fn layout(sizes: &[f64], within: Tile) -> Vec<Tile> {
    let total: f64 = sizes.iter().sum();
    if total <= 0.0 {
        return Vec::new();
    }
    let scale = within.width * within.height / total;
    let areas: Vec<f64> = sizes.iter().map(|size| size * scale).collect();
    let mut tiles = Vec::with_capacity(areas.len());
    let mut left = within;
    let mut rest = areas.as_slice();
    while !rest.is_empty() {
        let side = left.width.min(left.height);
        let mut count = 1;
        while count < rest.len() && worst(&rest[..=count], side) <= worst(&rest[..count], side) {
            count += 1;
        }
        left = row(&rest[..count], left, &mut tiles);
        rest = &rest[count..];
    }
    tiles
}

/// The largest ratio of sides in a row along `side`.
fn worst(row: &[f64], side: f64) -> f64 {
    let sum: f64 = row.iter().sum();
    let ratio = |area: &f64| {
        let ratio = side * side * area / (sum * sum);
        ratio.max(1.0 / ratio)
    };
    row.iter().map(ratio).fold(0.0, f64::max)
}

/// Places a row along the shorter side; says what is left.
fn row(row: &[f64], left: Tile, tiles: &mut Vec<Tile>) -> Tile {
    let sum: f64 = row.iter().sum();
    let upright = left.width >= left.height;
    let side = if upright { left.height } else { left.width };
    let thickness = if side > 0.0 { sum / side } else { 0.0 };
    let mut at = 0.0;
    for area in row {
        let length = if thickness > 0.0 {
            area / thickness
        } else {
            0.0
        };
        tiles.push(if upright {
            Tile {
                x: left.x,
                y: left.y + at,
                width: thickness,
                height: length,
            }
        } else {
            Tile {
                x: left.x + at,
                y: left.y,
                width: length,
                height: thickness,
            }
        });
        at += length;
    }
    if upright {
        Tile {
            x: left.x + thickness,
            width: (left.width - thickness).max(0.0),
            ..left
        }
    } else {
        Tile {
            y: left.y + thickness,
            height: (left.height - thickness).max(0.0),
            ..left
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MAP: Tile = Tile {
        x: 0.0,
        y: 0.0,
        width: 6.0,
        height: 4.0,
    };

    /// The paper's example, figures 4 and 5.
    #[test]
    fn the_papers_example() {
        let tiles = layout(&[6.0, 6.0, 4.0, 3.0, 2.0, 2.0, 1.0], MAP);
        assert_eq!(
            tiles[0],
            Tile {
                x: 0.0,
                y: 0.0,
                width: 3.0,
                height: 2.0
            }
        );
        assert_eq!(
            tiles[1],
            Tile {
                x: 0.0,
                y: 2.0,
                width: 3.0,
                height: 2.0
            }
        );
        assert!((tiles[2].height - 7.0 / 3.0).abs() < 1e-9, "{tiles:?}");
    }

    #[test]
    fn areas_are_sizes_and_nothing_lies_outside() {
        let sizes: Vec<f64> = (1..200).rev().map(f64::from).collect();
        let total: f64 = sizes.iter().sum();
        for (tile, size) in layout(&sizes, MAP).iter().zip(&sizes) {
            assert!((tile.width * tile.height - size * 24.0 / total).abs() < 1e-6);
            assert!(tile.x >= 0.0 && tile.x + tile.width <= 6.0 + 1e-9);
            assert!(tile.y >= 0.0 && tile.y + tile.height <= 4.0 + 1e-9);
        }
        assert!(layout(&[], MAP).is_empty());
    }
}
